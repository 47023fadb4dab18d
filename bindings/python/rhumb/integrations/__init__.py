"""rhumb where other libraries expect a nearest neighbour index. Each module needs the library that it is named after:

- ``rhumb.integrations.sklearn``: RhumbTransformer, in place of sklearn.neighbors.KNeighborsTransformer
- ``rhumb.integrations.langchain``: RhumbVectorStore, a langchain_core.vectorstores.VectorStore
- ``rhumb.integrations.llama_index``: RhumbVectorStore, a llama_index.core vector store

Documents, which the stores share, needs none: vectors with texts and metadata, and filters on these.
"""
