"""The data format: rows, lexicon and label names, reading any table of texts, building and describing a data set."""
