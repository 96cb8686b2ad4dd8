"""The error with which the page's server refuses a request."""


class Refused(Exception):
    """A refused request: an HTTP status of 4xx or 5xx, and a sentence for the person."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
