"""ModernBERT's whole life in one package: tokenizer, packed pre-training, fine-tuning, retrieval, serving."""

__version__ = "0.1.0"
