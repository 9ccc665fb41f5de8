import torch
from prometheus_client.parser import text_string_to_metric_families

from modernbert.infer.batches import Batches
from modernbert.infer.budget import Search
from modernbert.infer.desk import Desk
from modernbert.serve.metrics import Metrics
from support.narrow import Narrow


def test_what_ran_and_what_was_answered_is_counted():
    desk = Desk(max_batch_tokens=10)
    metrics = Metrics(desk)
    batches = Batches(torch.device("cpu"), Search(10, 10), 10)
    desk.results(batches, Narrow(100).read, [[1, 2, 3], [4, 5]])
    desk.close(60)
    metrics.started()
    metrics.started()
    metrics.ended("/embed", 200, 0.003)
    found = {
        sample.name + "".join(f"|{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert found["modernbert_tokens_total"] == 5
    assert found["modernbert_documents_total"] == 2
    assert found["modernbert_busy_seconds_total"] > 0
    assert found["modernbert_tokens_per_second"] > 0
    assert found["modernbert_batch_fill_bucket|0.4"] == 0
    assert found["modernbert_batch_fill_bucket|0.5"] == 1, "five of ten tokens"
    assert found["modernbert_batch_tokens_sum"] == 5
    assert found["modernbert_requests_total|/embed|200"] == 1
    assert found["modernbert_request_seconds_bucket|0.002|/embed"] == 0
    assert found["modernbert_request_seconds_bucket|0.005|/embed"] == 1
    assert found["modernbert_requests_running"] == 1
    assert found["modernbert_queue_tokens"] == found["modernbert_queue_requests"] == 0
