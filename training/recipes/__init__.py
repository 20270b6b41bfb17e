"""How each recogniser is trained, one file each."""
