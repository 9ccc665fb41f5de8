import pytest

from modernbert.core.errors import UserError
from modernbert.serve.config import Settings


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max_batch_tokens": 0}, "--max-batch-tokens: found 0, expected more than 0"),
        ({"timeout": -1.0}, "--timeout: found -1.0, expected more than 0"),
        ({"timeout": float("nan")}, "--timeout: found nan, expected more than 0"),
        ({"port": 70_000}, "--port: found 70000, expected 0 to 65535"),
        ({"api_key": ("",)}, "--api-key: found an empty key"),
        ({"api_key": ("schlüssel",)}, "or one with other characters than ASCII"),
        ({"default_prompt": "a", "default_prompt_name": "b"}, "found --default-prompt and --default-prompt-name"),
        ({"index": ("notes",)}, "--index: found 'notes', expected NAME=FOLDER"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(setting, said):
    with pytest.raises(UserError, match=said):
        Settings(**setting)
