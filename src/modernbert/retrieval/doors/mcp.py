"""Indexes as a server of the Model Context Protocol, for assistants: `pip install 'modernbert[mcp]'`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modernbert.core.errors import UserError, require
from modernbert.core.log import warn_once
from modernbert.retrieval.doors.arguments import schema_of
from modernbert.retrieval.doors.repository import Repository
from modernbert.retrieval.doors.tools import Tools

if TYPE_CHECKING:
    from mcp.server import Server

_HOW = (
    "Searches the user's own documents and code. Use search for where something is, context for material to answer a "
    "question from, with citations to repeat, and read for the lines around. Paths are absolute; lines count from 1."
)


def server(repositories: Sequence[Repository], *, room: int = 2000) -> "Server":
    """A server whose tools are `Tools`; mistakes come back as the tool's error, in one sentence.

    Requests are answered one at a time, in a thread, so that the protocol goes on meanwhile.

    Raises:
        MissingExtraError: the mcp package is not installed.
    """
    require("mcp", extra="mcp")
    import anyio
    import anyio.to_thread
    import mcp.types as types
    from mcp.server import Server

    tools = Tools(repositories, room=room)
    one_at_a_time = anyio.Lock()
    listed = [
        types.Tool(
            name=name, description=tool.about, input_schema=dict(schema_of(tool.arguments)),
            annotations=types.ToolAnnotations(read_only_hint=tool.is_read_only, open_world_hint=False),
        )
        for name, tool in tools.by_name.items()
    ]  # fmt: skip

    async def list_tools(_: object, __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_: object, call: types.CallToolRequestParams) -> types.CallToolResult:
        async with one_at_a_time:
            texts, is_error = await anyio.to_thread.run_sync(_answer, tools, call.name, call.arguments or {})
        return types.CallToolResult(content=[types.TextContent(text=text) for text in texts], is_error=is_error)

    return Server("modernbert", instructions=_HOW, on_list_tools=list_tools, on_call_tool=call_tool)


def serve(repositories: Sequence[Repository], *, room: int = 2000) -> None:
    """Serve over stdin and stdout until stdin ends; whatever else is printed meanwhile goes to stderr."""
    made = server(repositories, room=room)
    import anyio
    from mcp.server.stdio import stdio_server

    async def run() -> None:
        async with stdio_server() as (requests, answers):
            await made.run(requests, answers, made.create_initialization_options())

    anyio.run(run)


def _answer(tools: Tools, name: str, arguments: dict[str, object]) -> tuple[list[str], bool]:
    """The answer, or the one sentence of an error."""
    try:
        return tools.answer(name, arguments), False
    except UserError as mistake:
        return [" ".join(str(mistake).split())], True
    except Exception as bug:  # noqa: BLE001 - an assistant must not be shown a traceback, nor its server die of one
        what = " ".join(str(bug).split())
        sentence = f"{name}: failed with {type(bug).__name__}: {what}: this is a bug of modernbert, please report it"
        warn_once(sentence, sentence)
        return [sentence], True
