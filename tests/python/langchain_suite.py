"""Goal: the vector store for LangChain passes LangChain's standard suite. Run by pytest, from integrations_test.py.

Method: langchain-tests' classes, once with a temporary store and once with one at a path; by threads they are the
asynchronous tests too.
"""

import pytest
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from rhumb.integrations.langchain import RhumbVectorStore


class TestTemporary(VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self):
        with RhumbVectorStore(self.get_embeddings()) as store:
            yield store


class TestAtAPath(VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self, tmp_path):
        with RhumbVectorStore(self.get_embeddings(), tmp_path / "store.rhumb", metric="l2", durability="none") as store:
            yield store
