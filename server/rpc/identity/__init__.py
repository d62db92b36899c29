"""Who calls, and for whom they may act: by nothing, by a token, or by a client's certificate."""
