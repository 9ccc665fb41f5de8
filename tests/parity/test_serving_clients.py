"""Clients that people have, against a server of ours: the vectors they get are Python's."""

import asyncio

import numpy as np
import pytest

from modernbert.retrieval.embedder import Embedder
from support.served import TEXTS, folder_of, live


@pytest.fixture(scope="module")
def url():
    with live("words", api_key=("k3y",)) as found:
        yield found


@pytest.fixture(scope="module")
def truth():
    return Embedder.from_pretrained(folder_of("words"), dtype="float32").encode(TEXTS, normalize_embeddings=True)


@pytest.fixture(scope="module")
def openai_client(url):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k3y", max_retries=0) as client:
        yield client


def test_openais_client_embeds_texts(openai_client, truth):
    for encoding in ("float", "base64", None):  # which asks for base64, and decodes it
        options = {"encoding_format": encoding} if encoding else {}
        found = openai_client.embeddings.create(model="words", input=TEXTS, **options)
        assert found.usage.prompt_tokens == found.usage.total_tokens > len(TEXTS)
        if encoding != "base64":
            np.testing.assert_allclose([each.embedding for each in found.data], truth, atol=1e-5)
    short = openai_client.embeddings.create(model="words", input=TEXTS[0], dimensions=8).data[0].embedding
    np.testing.assert_allclose(short, truth[0, :8] / np.linalg.norm(truth[0, :8]), atol=1e-5)
    assert [each.id for each in openai_client.models.list()] == ["words"]


def test_openais_client_knows_our_errors(openai_client):
    import openai

    with pytest.raises(openai.NotFoundError, match="found 'gpt' for embed, expected one of words"):
        openai_client.embeddings.create(model="gpt", input="a")
    with pytest.raises(openai.UnprocessableEntityError, match="expected 1 to 128"):
        openai_client.embeddings.create(model="words", input="a", dimensions=1000)
    with pytest.raises(openai.AuthenticationError, match="expected a key that this server knows"):
        openai_client.with_options(api_key="wrong").models.list()


def test_hugging_faces_client_embeds_a_text(url, truth):
    from huggingface_hub import AsyncInferenceClient, InferenceClient

    for address in (url, f"{url}/embed"):
        client = InferenceClient(model=address, token="k3y")
        np.testing.assert_allclose(client.feature_extraction(TEXTS[0], normalize=True)[0], truth[0], atol=1e-5)
        np.testing.assert_allclose(client.feature_extraction(TEXTS[2], truncate=True)[0], truth[2], atol=1e-5)

    async def waiting():
        async with AsyncInferenceClient(model=url, token="k3y") as client:  # open, it would be some later test's fault
            return await client.feature_extraction(TEXTS[0])

    np.testing.assert_allclose(asyncio.run(waiting())[0], truth[0], atol=1e-5)


def test_langchains_embeddings_embed_documents_and_queries(url, truth):
    langchain_openai = pytest.importorskip("langchain_openai")
    embeddings = langchain_openai.OpenAIEmbeddings(
        model="words",
        base_url=f"{url}/v1",
        api_key="k3y",
        check_embedding_ctx_length=False,  # the server counts tokens, with the model's own tokenizer
        chunk_size=2,
    )
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), truth, atol=1e-5)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[0]), truth[0], atol=1e-5)
