"""CSV as it comes from R, pandas, SAS and spreadsheets: read as it was meant, or refused with what to do; and said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.answers.datasets import Dataset
from tests.service.test_datasets import CSV, refused, upload

JSON = {"Content-Type": "application/json"}
ROWS = 48
MODEL = "y ~ x + (1 | g)"
LINES = [
    (f"{np.sin(5.0 * row) + row / 30:.2f}", str(round(10 + row * 0.5 + (row % 5), 1)), f"k{row % 8}")
    for row in range(ROWS)
]


def table(cell: str, separator: str = ",", at: int = 7, column: int = 1) -> str:
    """Rows of y, x and g of which one cell is another."""
    lines = [list(line) for line in LINES]
    lines[at][column] = f'"{cell}"' if separator in cell else cell
    return "\n".join(separator.join(line) for line in [["y", "x", "g"], *lines]) + "\n"


def check(client: TestClient, dataset: str, formula: str = MODEL, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/formulas/check", json={"formula": formula, "dataset": dataset, **more})
    assert answer.status_code in (200, 422), answer.text
    found: dict[str, Any] = answer.json()
    return found


def reading(dataset: Dataset) -> dict[str, Any]:
    assert dataset.reading is not None
    return dataset.reading.model_dump()


@pytest.mark.parametrize(
    "cell", ["NA", ".", "-", "NaN", "null", "#N/A", "N/A", "<NA>", "NULL", "?", "None", " NA ", "n/a"]
)
def test_the_usual_spellings_are_missing_among_numbers(client: TestClient, cell: str) -> None:
    dataset = upload(client, table(cell))
    columns = {column.name: column for column in dataset.columns}
    assert (columns["x"].type, columns["x"].missing) == ("number", 1)
    assert reading(dataset)["missing"] == {"x": {cell.strip(): 1}}
    (error,) = check(client, dataset.id)["errors"]
    assert (error["code"], error["column"]) == ("missing-values", "x")
    checked = check(client, dataset.id, missing="drop")
    assert (checked["population"], checked["rows"]) == (["Intercept", "x"], ROWS - 1)
    assert checked["reading"] == reading(dataset)


@pytest.mark.parametrize("cell", ["NA", "null", "NaN", "#N/A"])
def test_no_missing_value_is_a_level_of_a_group(client: TestClient, cell: str) -> None:
    dataset = upload(client, table(cell, column=2))
    assert reading(dataset)["missing"] == {"g": {cell: 1}}
    assert [error["code"] for error in check(client, dataset.id)["errors"]] == ["missing-values"]
    # A group may be called so, where that is said.
    meant = upload(client, table(cell, column=2), query="?missing=")
    assert reading(meant)["missing"] == {}
    assert [warning.code for warning in meant.warnings] == ["missing_as_level"]
    assert [warning["code"] for warning in check(client, meant.id)["warnings"]] == ["missing_as_level"]


def test_what_may_be_a_text_stays_one_among_texts_and_is_said(client: TestClient) -> None:
    dataset = upload(client, table("-", column=2))
    assert dataset.columns[2].missing == 0
    assert [warning.code for warning in dataset.warnings] == ["missing_as_level"]


@pytest.mark.parametrize(
    "cell", ["1,234", "12%", "$5", "5 €", "1/2/2020", "abc", "<0.01", "1 234", "Inf", "1.234.567", "#DIV/0!"]
)
@pytest.mark.parametrize(
    "formula", ["y ~ x + (1 | g)", "y ~ g + (1 + x | g)", "x ~ 1 + (1 | g)", "y ~ log(x) + (1 | g)"]
)
def test_numbers_but_for_a_cell_are_no_factor(client: TestClient, cell: str, formula: str) -> None:
    dataset = upload(client, table(cell))
    assert [warning.code for warning in dataset.warnings] == ["text_column"]
    errors = check(client, dataset.id, formula)["errors"]
    (error,) = (error for error in errors if error["column"] == "x")
    assert error["code"] == "column-type"
    assert f"1 of {ROWS} cells" in error["message"]
    assert f"{cell!r} (row 7)" in error["message"]


WRITTEN: dict[str, Callable[[int], Any]] = {
    "thousands": lambda row: f"{1 + row % 9},{100 + row}",
    "percent": lambda row: f"{row % 7}%",
    "currency": lambda row: f"${row % 7}.50",
    "decimal comma": lambda row: f"{row % 7},5",
    "text": lambda row: str(row % 21),
    "decimals as text": lambda row: f"{row % 7}.5",
    "exponents": lambda row: f"{row % 7 + 1}E5",
    "accounting": lambda row: f"-€{row % 7}",
}


def test_whole_numbers_as_text_with_some_rows_each_are_levels_and_warned_of(client: TestClient) -> None:
    """As a factor arrives whose labels are numbers."""
    cells = [str(row % 4) for row in range(ROWS)]
    data = {"columns": {"y": [float(line[0]) for line in LINES], "x": cells}}
    answer = client.post("/v1/formulas/check", json={"formula": "y ~ x", "data": data})
    assert answer.status_code == 200, answer.text
    assert answer.json()["population"] == ["Intercept", "x1", "x2", "x3"]
    assert "numbers_as_levels" in {warning["code"] for warning in answer.json()["warnings"]}
    answer = client.post("/v1/formulas/check", json={"formula": "y ~ factor(x)", "data": data})
    assert "numbers_as_levels" not in {warning["code"] for warning in answer.json()["warnings"]}


@pytest.mark.parametrize("written", WRITTEN)
def test_numbers_in_another_notation_are_no_factor(client: TestClient, written: str) -> None:
    cells = [WRITTEN[written](row) for row in range(ROWS)]
    data = {
        "columns": {"y": [float(line[0]) for line in LINES], "x": cells, "g": [line[2] for line in LINES]}
    }
    answer = client.post("/v1/formulas/check", json={"formula": MODEL, "data": data})
    (error,) = answer.json()["errors"]
    assert (error["code"], error["column"], error["position"]) == ("column-type", "x", 4)
    # The texts can be meant as levels, and can group rows.
    for formula in ("y ~ factor(x) + (1 | g)", "y ~ 1 + (1 | x)"):
        answer = client.post("/v1/formulas/check", json={"formula": formula, "data": data})
        assert answer.status_code == 200, answer.text
    levels = {"x": sorted(set(cells))}
    answer = client.post("/v1/formulas/check", json={"formula": MODEL, "data": data, "levels": levels})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "date",
    [
        "2020-01-{:02}",
        "{:02}/01/2020",
        "1/{}/20",
        "{}.1.2020",
        "2020/01/{:02} 10:30",
        "{} Jan 2020",
        "January {}, 2020",
    ],
)
def test_dates_are_no_factor(client: TestClient, date: str) -> None:
    cells = [date.format(row % 12 + 1) for row in range(ROWS)]
    data = {
        "columns": {"y": [float(line[0]) for line in LINES], "x": cells, "g": [line[2] for line in LINES]}
    }
    answer = client.post("/v1/formulas/check", json={"formula": MODEL, "data": data})
    assert [error["code"] for error in answer.json()["errors"]] == ["date-covariate"]


def test_a_text_for_each_row_is_no_covariate(client: TestClient) -> None:
    names = [f"person {row}" for row in range(ROWS)]
    for used in (ROWS, ROWS * 3 // 4):
        data = {"columns": {"y": list(range(ROWS)), "x": [names[row % used] for row in range(ROWS)]}}
        answer = client.post("/v1/formulas/check", json={"formula": "y ~ x", "data": data})
        (error,) = answer.json()["errors"]
        assert error["code"] == "too-many-levels"
        assert f"{used} levels in {ROWS} rows" in error["message"]
    # In pairs they are what a paired comparison has.
    data = {"columns": {"y": list(range(ROWS)), "x": [names[row // 2] for row in range(ROWS)]}}
    assert client.post("/v1/formulas/check", json={"formula": "y ~ x", "data": data}).status_code == 200


@pytest.mark.parametrize(
    ("index", "taken"),
    [
        (lambda row: f'"{row + 1}"', True),  # write.csv
        (lambda row: str(row), True),  # to_csv
        (lambda row: f'"Mazda {row}"', True),
        (lambda row: str(7 * row % 50 * 100), True),  # rows chosen from others
        (lambda row: str(row % 5), False),
        (lambda row: "" if row == 3 else str(row), False),
    ],
)
def test_the_default_exports_of_r_and_pandas_are_read(
    client: TestClient, index: Callable[[int], str], taken: bool
) -> None:
    plain = table("1.5").splitlines()
    for first in ("", '""'):
        lines = [f"{first},{plain[0]}", *(f"{index(row)},{line}" for row, line in enumerate(plain[1:]))]
        content = "\n".join(lines) + "\n"
        if taken:
            dataset = upload(client, content)
            assert reading(dataset)["row_index"] is True
            assert dataset.id == upload(client, table("1.5")).id
        else:
            problem = refused(client, content)
            assert problem.type == "/problems/invalid-csv"
            assert "row.names = FALSE" in problem.errors[0].message


def test_empty_columns_without_a_name_are_left_out(client: TestClient) -> None:
    content = "".join(f"{line},,\n" for line in table("1.5").splitlines())
    assert upload(client, content).id == upload(client, table("1.5")).id
    assert refused(client, content.replace(",k7,,\n", ",k7,,4\n")).type == "/problems/invalid-csv"


@pytest.mark.parametrize(("name", "separator"), [("semicolon", ";"), ("tab", "\t"), ("pipe", "|")])
def test_separators_and_decimal_commas_are_found_or_asked_for(
    client: TestClient, name: str, separator: str
) -> None:
    expected = upload(client, table("1.5")).id
    point = table("1.5", separator)
    comma = point.replace(".", ",")
    for content, query in (
        (point, ""),
        (comma, ""),
        (comma, f"?sep={name}&decimal=comma"),
        (comma, "?decimal=%2C"),
        ("sep=;\n" + comma if separator == ";" else comma, ""),
    ):
        dataset = upload(client, content, query=query)
        assert dataset.id == expected
        assert reading(dataset)["separator"] == name
    media_type = {"Content-Type": "text/tab-separated-values"}
    assert upload(client, table("1.5", "\t"), media_type).id == expected


def test_what_separates_the_cells_is_asked_where_it_is_open(client: TestClient) -> None:
    content = "id;height, cm\n1;1,80\n2;1,75\n"
    problem = refused(client, content)
    assert "sep=semicolon" in problem.errors[0].message
    assert [column.name for column in upload(client, content, query="?sep=%3B").columns] == [
        "id",
        "height, cm",
    ]
    for wrong in ("?sep=x", "?decimal=x"):
        assert refused(client, content, query=wrong).type == "/problems/invalid-parameter"
    written = refused(client, "a;b\n1,5;2.5\n2,5;3.5\n")
    assert "decimal" in written.errors[0].message
    blanks = refused(client, '"y" "x"\n1 2\n3 4\n')
    assert "sep=space" in blanks.errors[0].message
    assert refused(client, '"y" "x"\n"1" 1 2\n"2" 3 4\n').type == "/problems/invalid-csv"
    # One thousand and some, or one and some? Either way it is no factor.
    open_ = upload(client, "y;x\n" + "".join(f"{row % 7};{1 + row % 9},{100 + row}\n" for row in range(ROWS)))
    assert [error["code"] for error in check(client, open_.id, "y ~ x")["errors"]] == ["column-type"]
    json = client.post("/v1/datasets?sep=%3B", content=b'{"columns": {"a": [1]}}', headers=JSON)
    assert json.json()["type"] == "/problems/invalid-parameter"


def test_blanks_beside_cells_are_no_part_of_them(client: TestClient) -> None:
    spaced = "\n".join(" , ".join(line.split(",")) for line in table("1.5").splitlines()) + "\n"
    dataset = upload(client, spaced)
    assert dataset.id == upload(client, table("1.5")).id
    assert reading(dataset)["trimmed"] == 3 * ROWS


@pytest.mark.parametrize("said", ["-999", "-999.0", "-9.99e2"])
def test_a_number_for_missing_is_a_number(client: TestClient, said: str) -> None:
    content = "x,n,t\n-999.0,-999,-999\n-999,4,a\n1.5,5,b\n-9.99e2,6,c\n"
    dataset = upload(client, content, query=f"?missing={said}")
    assert [column.missing for column in dataset.columns[:2]] == [3, 1]
    assert [column.type for column in dataset.columns] == ["number", "integer", "text"]
    assert sum(reading(dataset)["missing"]["x"].values()) == 3


def test_missing_texts_that_are_given_replace_the_usual_ones(client: TestClient) -> None:
    dataset = upload(client, "a,b\nNA,x\nfoo,x\nk,y\n", query="?missing=foo")
    assert dataset.columns[0].levels == ["NA", "k"]
    assert reading(dataset)["missing"] == {"a": {"foo": 1}}


def test_an_empty_line_of_one_column_is_a_row(client: TestClient) -> None:
    dataset = upload(client, "x\n1\n\n3\n")
    assert (dataset.rows, dataset.columns[0].missing) == (3, 1)
    assert upload(client, "x,g\n1,a\n\n3,b\n").rows == 2


@pytest.mark.parametrize(
    ("cells", "levels"),
    [
        (["1E5", "100000", "2E5"], ["100000", "1E5", "2E5"]),
        (["12e3", "12000", "7"], ["12000", "12e3", "7"]),
        (["007", "7", "08"], ["007", "08", "7"]),
        (["9007199254740993", "9007199254740992", "1"], [1, 2**53, 2**53 + 1]),
    ],
)
def test_ids_stay_apart(client: TestClient, cells: list[str], levels: list[Any]) -> None:
    content = "y,g\n" + "".join(f"{row / 7:.3f},{cells[row % 3]}\n" for row in range(12))
    dataset = upload(client, content)
    assert dataset.columns[1].levels == levels
    assert check(client, dataset.id, "y ~ 1 + (1 | g)")["groups"][0]["levels"] == 3


def test_numbers_with_exponents_are_numbers_as_programs_write_them(client: TestClient) -> None:
    for cells in (["1e+05", "100001"], ["1.5e5", "2e5"], ["1e-5", "3"]):
        assert upload(client, "v\n" + "\n".join(cells) + "\n").columns[0].type == "number"
    assert upload(client, "v\n1E5\n2E5\n", query="?types=v:number").columns[0].type == "number"


def test_predictions_read_csv_as_data_sets_do(client: TestClient, finish: Callable[..., Any]) -> None:
    columns = {"y": [float(row % 7) for row in range(24)], "x": [row / 3 for row in range(24)]}
    groups = ["NA", "7", "a"]
    data = {"columns": {**columns, "g": [groups[row % 3] for row in range(24)]}}
    fit = client.post("/v1/fits", json={"formula": "y ~ x + (1 | g)", "data": data}).json()["id"]
    finish(fit)
    address = f"/v1/fits/{fit}/predictions"
    rows = {"columns": {"x": [0.5, 1.5, 2.5], "g": groups}}
    expected = client.post(address, json={"data": rows}).json()["mean"]
    for content, query in (
        ("x,g\n0.5,NA\n1.5,7\n2.5,a\n", ""),
        (",x,g\n0,0.5,NA\n1,1.5,7\n2,2.5,a\n", ""),
        ("x;g\n0,5;NA\n1,5;7\n2,5;a\n", ""),
        ("x|g\n0,5|NA\n1,5|7\n2,5|a\n", "?sep=pipe&decimal=comma"),
    ):
        answer = client.post(address + query, content=content, headers=CSV)
        assert answer.json().get("mean") == expected, answer.text
    missing = client.post(address, content="x,g\nNA,7\n", headers=CSV)
    assert missing.json()["errors"][0]["code"] == "missing-values"


KINDS_OF_NUMBERS: dict[str, Callable[[int], str]] = {
    "unit": lambda row: f"{row % 7} kg",
    "unit without a blank": lambda row: f"{row % 7}.5mm",
    "composed unit": lambda row: f"{row % 7} mg/kg",
    "degrees": lambda row: f"{row % 7}°C",
    "accounting": lambda row: f"({row % 7})",
    "dollars of a country": lambda row: f"R${row % 7}",
    "currency behind": lambda row: f"{row % 7} kr",
    "zeros at the beginning": lambda row: f"{row % 20:03}",
    "decimals with zeros": lambda row: f"{row % 20:02}.5",
    "hexadecimal": lambda row: hex(row % 7),
    "Fortran": lambda row: f"{row % 7}.5D+02",
    "lakhs": lambda row: f"1,{row % 7}0,000",
    "full width": lambda row: chr(0xFF10 + row % 7),
    "a mark of text": lambda row: f"'{row % 7}",
    "quotes within quotes": lambda row: f'"""{row % 7}"""',
    "blank before a quote": lambda row: f' "{row % 7}"',
    "a sign behind": lambda row: f"{row % 7}-",
    "half of them limits": lambda row: str(row) if row % 2 else "<LOD",
}


@pytest.mark.parametrize("written", KINDS_OF_NUMBERS)
def test_numbers_as_people_write_them_are_no_factor(client: TestClient, written: str) -> None:
    cells = [KINDS_OF_NUMBERS[written](row) for row in range(ROWS)]
    lines = [f"{y};{cell};{g}" for (y, _, g), cell in zip(LINES, cells, strict=True)]
    dataset = upload(client, "\n".join(["y;x;g", *lines]) + "\n")
    assert [warning.code for warning in dataset.warnings] == ["text_column"]
    (error,) = check(client, dataset.id)["errors"]
    assert (error["code"], error["column"]) == ("column-type", "x")
    assert "(row " in error["message"]
    for formula in ("y ~ factor(x) + (1 | g)", "y ~ 1 + (1 | x)"):
        assert check(client, dataset.id, formula)["groups"]


@pytest.mark.parametrize("month", ["2024-{:02}", "Jan-{:02}", "Mon, {} Jan 2024", "{} January 2024 10:30"])
def test_months_and_days_of_the_week_are_dates(client: TestClient, month: str) -> None:
    cells = [month.format(row % 12 + 1) for row in range(ROWS)]
    data = {"columns": {"y": [float(line[0]) for line in LINES], "x": cells}}
    answer = client.post("/v1/formulas/check", json={"formula": "y ~ x", "data": data})
    assert [error["code"] for error in answer.json()["errors"]] == ["date-covariate"]


@pytest.mark.parametrize(
    "levels",
    [
        ["5 mg", "10 mg", "20 mg"],  # doses
        ["low", "mid", "high"],
        ["0-9", "10-19", "20+", "1.2.3", "k7"],
        ["1st", "2nd", "3rd", "4th"],
        ["decile 10", "jane 25", "2024Q1"],
        ["3A", "3B", "4A", "4B", "5A", "5B"],
    ],
)
def test_texts_with_a_few_digits_are_levels(client: TestClient, levels: list[str]) -> None:
    cells = [levels[row % len(levels)] for row in range(ROWS)]
    data = {"columns": {"y": [float(line[0]) for line in LINES], "x": cells}}
    answer = client.post("/v1/formulas/check", json={"formula": "y ~ x", "data": data})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["population"]) == len(levels)


def test_a_cell_that_is_no_number_is_named_among_decimal_commas(client: TestClient) -> None:
    content = table("x", ";").replace(".", ",").replace(";x;k7\n", ";5 kg;k7\n")
    (error,) = check(client, upload(client, content).id)["errors"]
    assert "'5 kg' (row 7), " in error["message"]


def test_missing_texts_are_as_many_as_there_are(client: TestClient) -> None:
    dataset = upload(client, "a,b\nNA,1\nfoo,-9\nk,3\nl,4\n", query="?missing=foo&missing=-9")
    assert reading(dataset)["missing"] == {"a": {"foo": 1}, "b": {"-9": 1}}
    assert dataset.columns[1].type == "integer"


def test_empty_lines_before_the_header_are_nothing(client: TestClient) -> None:
    for content in ("\nx\n1\n\n3\n", "\r\n\r\nx\r\n1\r\n\r\n3\r\n", "sep=;\n\nx\n1\n\n3\n"):
        dataset = upload(client, content)
        assert (dataset.rows, dataset.columns[0].type, dataset.columns[0].missing) == (3, "integer", 1)


def test_the_line_for_spreadsheets_is_none_of_the_rows(client: TestClient) -> None:
    expected = upload(client, table("1.5")).id
    rows = table("1.5", ";")
    for content, query in (('"sep=;"\n' + rows, ""), ("sep=;\r\n" + rows, "?sep=semicolon")):
        assert upload(client, content, query=query).id == expected


@pytest.mark.parametrize("separator", [" ", "  ", ":", "::", "^", "~", "¦", "\x01"])
def test_rows_are_never_one_column_by_mistake(client: TestClient, separator: str) -> None:
    problem = refused(client, table("1.5").replace(",", separator))
    assert problem.type == "/problems/invalid-csv"
    assert "seem" in problem.errors[0].message


def test_another_separator_than_the_one_that_is_said_is_named(client: TestClient) -> None:
    tabs = {"Content-Type": "text/tab-separated-values"}
    for query, headers in (("?sep=tab", CSV), ("", tabs), ("?sep=pipe", CSV)):
        message = refused(client, table("1.5"), headers, query).errors[0].message
        assert "by a comma there are 3" in message
    # A comma may be a part of text.
    text = upload(client, '"text"\n"a, b"\n"c"\n', query="?sep=tab")
    assert text.columns[0].levels == ["a, b", "c"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x\n1,5\n2,5\n", "sep=semicolon&decimal=comma"),
        ("y,x\n1,2,\n3,4,\n", "end with a comma"),
        ("y,x\n1,2,3\n2,3,4\n", "row.names = FALSE"),
        ("# made by hand\ny,x\n1,2\n", "lines of comment"),
        ("y,y\na,b\n1,2\n", "several lines"),
        ("y,x", "no rows"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(client: TestClient, content: str, said: str) -> None:
    assert said in refused(client, content).errors[0].message


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ log(x) + (1 | g)", "x ~ y + (1 | g)"])
def test_a_cell_is_named_by_its_row_where_rows_are_left_out(client: TestClient, formula: str) -> None:
    content = table("1,234").replace("\n", "\n,1.5,k0\n", 1)
    errors = check(client, upload(client, content).id, formula, missing="drop")["errors"]
    (error,) = (error for error in errors if error["column"] == "x")
    assert "'1,234' (row 8)" in error["message"]
