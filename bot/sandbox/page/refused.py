"""How the page's server says no."""


class Refused(Exception):
    """An HTTP status of 4xx or 5xx, and the sentence that a person reads."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
