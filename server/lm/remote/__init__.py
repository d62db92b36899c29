"""The LanguageModel on another server: any OpenAI-compatible one that can say how probable a given
text is."""
