"""Cuts a text into the tokens of an uncased BERT model: words, punctuation marks, and pieces of words.

The rules are BERT's (arXiv 1810.04805; WordPiece: arXiv 1609.08144): accents and case are dropped, punctuation and
Chinese characters stand alone, and a word becomes the longest piece that the vocabulary has, then the longest piece of
the rest, which is marked with "##", and so on.
"""

import unicodedata

WORD_CHARACTERS_MAX = 100
CONTINUED = "##"
# Blocks of Chinese characters; Japanese syllables and Korean are written like words and are not here.
CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _is_punctuation(character):
    if character < "\x80":
        return "!" <= character <= "/" or ":" <= character <= "@" or "[" <= character <= "`" or "{" <= character <= "~"
    return unicodedata.category(character).startswith("P")


def _cleaned(character):
    """What stands for one character of the input: itself, itself between spaces, a space, or nothing."""
    code = ord(character)
    if character not in "\t\n\r" and (code == 0xFFFD or unicodedata.category(character).startswith("C")):
        return ""
    if character.isspace():
        return " "
    return f" {character} " if any(first <= code <= last for first, last in CHINESE) else character


def words_of(text):
    """The words and punctuation marks of a text, in lower case and without accents."""
    if text.isascii() and text.isprintable():
        text = text.lower()
    else:
        text = unicodedata.normalize("NFD", "".join(map(_cleaned, text)))
        # Letter by letter: Greek's final sigma is not a case of its own here.
        text = "".join(c.lower() for c in text if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in text).split()


class Tokenizer:
    """Turns texts into token numbers. `vocabulary` maps pieces to numbers; its special tokens are BERT's."""

    def __init__(self, vocabulary, token_count_max):
        self._vocabulary = vocabulary
        self._token_count_max = token_count_max
        self._first, self._last = vocabulary["[CLS]"], vocabulary["[SEP]"]
        self._unknown = [vocabulary["[UNK]"]]
        self._known_words = {}

    def _pieces(self, word):
        if len(word) > WORD_CHARACTERS_MAX:
            return self._unknown
        pieces, begin = [], 0
        while begin < len(word):
            mark = CONTINUED if begin else ""
            ends = range(len(word), begin, -1)
            end = next((end for end in ends if mark + word[begin:end] in self._vocabulary), None)
            if end is None:
                return self._unknown
            pieces.append(self._vocabulary[mark + word[begin:end]])
            begin = end
        return pieces

    def tokens_of(self, text):
        """The numbers of a text's tokens between those that mark its begin and end: token_count_max at most in all."""
        numbers = [self._first]
        for word in words_of(text):
            pieces = self._known_words.get(word)
            if pieces is None:
                pieces = self._known_words[word] = self._pieces(word)
            numbers += pieces
        return tuple(numbers[: self._token_count_max - 1]) + (self._last,)
