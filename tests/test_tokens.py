"""Prompts as chunks, on a tokenizer whose tokens are letters: every number can be counted by eye."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from identitystory.errors import PromptError
from identitystory.models.sdxl.lora import Lora, LoraLayer
from identitystory.models.sdxl.photomaker import class_token
from identitystory.models.sdxl.tokens import MAX_CHUNKS, chunk_starts, token_ids, token_rows

START, END, PAD, LIMIT = 1000, 1001, 0, 7  # so that a chunk has room for five


class Letters:
    """A token a letter, which is its place in the alphabet; blanks are none."""

    pad_token_id = PAD

    def __call__(self, prompt, *, return_offsets_mapping=False, verbose=True):
        places = [n for n, letter in enumerate(prompt) if letter != " "]
        ids = [START, *(ord(prompt[n]) - ord("a") + 1 for n in places), END]
        offsets = [(0, 0), *((n, n + 1) for n in places), (0, 0)]
        return SimpleNamespace(input_ids=ids, offset_mapping=offsets)


@pytest.mark.parametrize(
    ("prompt", "starts"),
    [
        ("", [0]),
        ("abcde", [0]),  # just fits
        ("abcdef", [0, 5]),  # no word to end before
        ("ab cde f", [0, 5]),  # before the sixth letter
        ("ab cdef", [0, 2]),
        ("a b cdefgh", [0, 2, 7]),
        ("abc def ghi", [0, 3, 6]),
    ],
)
def test_a_chunk_is_full_or_ends_before_a_word(prompt, starts):
    assert chunk_starts(Letters(), prompt, LIMIT) == starts


def test_eight_chunks_are_read_and_no_more():
    assert len(chunk_starts(Letters(), "a" * 5 * MAX_CHUNKS, LIMIT)) == MAX_CHUNKS == 8
    with pytest.raises(PromptError, match="has 41 tokens; about 40 are read at most"):
        chunk_starts(Letters(), "a" * 41, LIMIT)


def test_every_token_stands_in_its_chunk_the_last_too():
    ids = token_ids(Letters(), "abc def", LIMIT)
    assert ids.tolist() == [[START, 1, 2, 3, END, 0, 0], [START, 4, 5, 6, END, 0, 0]]
    full = token_ids(Letters(), "abcde", LIMIT, 2)
    assert full.tolist() == [[START, 1, 2, 3, 4, 5, END], [START, END, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("prompt", ["abcde", "abc def", "abcdefghijk", "ab c defg hi"])
def test_a_tokens_row_is_where_its_id_stands(prompt):
    rows = token_rows(Letters(), prompt, LIMIT)
    wanted = Letters()(prompt).input_ids[1:-1]
    assert token_ids(Letters(), prompt, LIMIT).flatten()[rows].tolist() == wanted


def test_a_class_words_row_is_that_of_its_last_letter():
    assert class_token(Letters(), "a cat", "cat", LIMIT) == 4
    assert class_token(Letters(), "a cat b", "cat", LIMIT) == 4
    assert class_token(Letters(), "cat", "CAT", LIMIT) == 3
    assert class_token(Letters(), "a catty cat", "cat", LIMIT) == 2 * LIMIT + 3


def test_a_lora_that_goes_off_leaves_the_others_on():
    layer = LoraLayer(nn.Linear(2, 2, bias=False))
    for n, name in enumerate(("one", "two"), 1):
        layer.put(name, n * torch.ones(1, 2), torch.ones(2, 1))
    network = nn.Sequential(layer, nn.Linear(2, 2))
    one, two = Lora(network, "one"), Lora(network, "two")
    assert [lora.layers for lora in (one, two, Lora(network, "three"))] == [[layer], [layer], []]
    x = torch.tensor([[1.0, 2.0]])
    change = lambda: (layer(x) - layer.base_layer(x)).round().tolist()
    with one.on():
        assert change() == [[3, 3]]
        with two.on():
            assert change() == [[9, 9]]
        assert change() == [[3, 3]]
    assert change() == [[0, 0]]
