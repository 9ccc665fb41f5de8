from modernbert.bench.tables import notes, tables
from support.studies import study

TABLES = {table.title: table for table in tables(study())}


def test_every_table_is_as_wide_as_its_head():
    for table in TABLES.values():
        assert all(len(row) == len(table.head) for row in table.rows), table.title


def test_ours_is_held_against_others_in_the_same_number_format():
    table = TABLES["Ours against each of the others, on the same weights"]
    rows = {(workload, ours, other): rest for workload, ours, other, *rest in table.rows}
    ours, other, ratio = rows["ModernBERT-base, fixed-512", "ours-bf16", "openvino-bf16, sorted"]
    assert (ours, other) == ("3.400", "2.578")
    assert ratio == "1.32 (1.32–1.32)"
    assert not any(our.startswith("ours-bf16") and "int8" in other for _, our, other in rows)


def test_the_papers_rows_stand_beside_ours():
    table = TABLES["The paper's table 2, here and as published"]
    row = next(row for row in table.rows if row[:2] == ("ModernBERT-base", "the paper, RTX 4090"))
    assert row[2:] == ("1,604", "148.1", "28.3", "147.3", "14.2")
    assert next(row for row in table.rows if row[:2] == ("ModernBERT-base", "ours-int8"))[3] == "5.200"


def test_nothing_is_missing_silently():
    rows = TABLES["Left out, and why"].rows
    assert ("ModernBERT-base", "stock-fp32", "it was made up so") in rows
    assert ("BERT-base, fixed-512", "openvino-fp32, sorted", "killed, most likely for memory") in rows
    assert ("BERT-base, fixed-8192", "all", "its positions end at 512 tokens") in rows


def test_markdown_keeps_every_row():
    for table in TABLES.values():
        lines = table.markdown().splitlines()
        assert lines[0] == f"## {table.title}"
        assert sum(line.startswith("| ") for line in lines) == len(table.rows) + 1


def test_what_is_special_about_a_model_is_noted():
    assert notes(study()) == []
