from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.labels import Label
from clickpost_async.structures.orders import CreatedOrder


def test_address_of_a_label_is_not_shown() -> None:
    label = structure_response(
        {"shipping_label": "https://nila.s3.amazonaws.com/1.pdf"}, Label, ResponseInfo()
    )
    assert label is not None
    assert label.url == "https://nila.s3.amazonaws.com/1.pdf"
    assert repr(label) == "Label(url=…)"


def test_no_paper_of_an_order_is_shown() -> None:
    papers = {
        "label": "https://nila.s3.amazonaws.com/1.pdf",
        "label1": "https://nila.s3.amazonaws.com/2.pdf",
        "commercial_invoice_url": "https://nila.s3.amazonaws.com/3.pdf",
        "children": [{"waybill": "W1-1", "label": "https://nila.s3.amazonaws.com/4.pdf"}],
    }
    order = structure_response({"waybill": "W1", **papers}, CreatedOrder, ResponseInfo())
    assert order is not None
    assert order.second_label == papers["label1"]
    assert order.children[0].label == "https://nila.s3.amazonaws.com/4.pdf"
    assert "W1-1" in repr(order)
    assert "amazonaws" not in repr(order)
