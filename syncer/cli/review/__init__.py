"""The keyboard review of held conflicts: what is chosen, and how it is shown."""
