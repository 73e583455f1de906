from clickpost_async._wire.converter import as_answer
from clickpost_async.structures import Reply
from clickpost_async.structures.labels import Label


def test_the_address_of_a_label_is_not_shown() -> None:
    label = as_answer({"shipping_label": "https://nila.s3.amazonaws.com/1.pdf"}, Label, Reply())
    assert label is not None
    assert label.url == "https://nila.s3.amazonaws.com/1.pdf"
    assert repr(label) == "Label(url=…)"
