"""Traces: public headers, and every problem at its place."""

import pytest

from einsum_cascades.diagnostics import Source, SpecError
from simulator.serving.requests import read_trace


def test_requests_come_in_order_of_arrival_from_zero():
    found = read_trace(Source("t.csv", "arrived_s,prompt_tokens,gen_tokens\n5.5,3,4\n2.0,1,2\n"))
    assert found.arrived_s.tolist() == [0.0, 3.5]
    assert found.prompt.tolist() == [1, 3]
    assert found.generated.tolist() == [2, 4]


def test_the_header_of_the_azure_trace_is_understood():
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,109\n"
    )
    found = read_trace(Source("azure.csv", text))
    assert found.arrived_s.tolist() == pytest.approx([0.0, 4.314579], abs=1e-6)
    assert found.generated.tolist() == [44, 109]


def test_every_wrong_number_is_told_at_its_place():
    text = "arrived_s,prompt_tokens,gen_tokens\n0.0,10,5\n1.0,-3,5\nsoon,10,0\n2.0,10,nan\n"
    with pytest.raises(SpecError) as error:
        read_trace(Source("trace.csv", text))
    assert str(error.value) == (
        "trace.csv:3:5: prompt_tokens is a number of tokens from 1, found '-3'\n"
        "    1.0,-3,5\n"
        "        ^^\n"
        "trace.csv:4:1: arrived_s is a time in seconds, or a date with a time, found 'soon'\n"
        "    soon,10,0\n"
        "    ^^^^\n"
        "trace.csv:4:9: gen_tokens is a number of tokens from 1, found '0'\n"
        "    soon,10,0\n"
        "            ^\n"
        "trace.csv:5:8: gen_tokens is a number of tokens from 1, found 'nan'\n"
        "    2.0,10,nan\n"
        "           ^^^"
    )


def test_missing_columns_and_empty_traces_are_told():
    with pytest.raises(SpecError, match="lacks the column 'prompt_tokens'") as error:
        read_trace(Source("t.csv", "arrived_s,prompt_token,gen_tokens\n1,2,3\n"))
    assert "did you mean 'prompt_token'" in str(error.value)
    with pytest.raises(SpecError, match="holds no requests"):
        read_trace(Source("t.csv", "arrived_s,prompt_tokens,gen_tokens\n\n"))
    with pytest.raises(SpecError, match="arrived_s is a time"):
        read_trace(Source("t.csv", "arrived_s,prompt_tokens,gen_tokens\ninf,2,3\n"))


def test_a_trace_that_is_wrong_everywhere_is_not_told_row_by_row_for_ever():
    text = "arrived_s,prompt_tokens,gen_tokens\n" + "x,-1,-1\n" * 1000
    with pytest.raises(SpecError) as error:
        read_trace(Source("t.csv", text))
    assert len(error.value.problems) < 30
