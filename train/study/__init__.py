"""The paper's study on the miniature worlds: arms trained and measured alike."""
