"""For each message of the parser and the verifier, one text that earns it, and the message whole."""

import pytest

from einsum_cascades.diagnostics import Source, SpecError
from einsum_cascades.parser import parse

HEAD = """\
cascade t
extent I, K, M = M1 * M0
input A[I]  B[I,K]  C[M]
output Z[]
"""

# name: (what follows HEAD, or a whole text that begins with its own lines, the message)
CASES: dict[str, tuple[str, str]] = {
    "a_character_of_no_word": (
        """\
Z[] = A[i] ≤ 2
""",
        """\
bad.cascade:5:12: the character '≤' has no meaning here
    Z[] = A[i] ≤ 2
               ^
    write '<='
bad.cascade:5:14: expected the end of the line, but '2' stands here
    Z[] = A[i] ≤ 2
                 ^
""",
    ),
    "a_text_without_name": (
        """\
extent I
input A[I]
output Z[]
Z[] = A[i]
""",
        """\
bad.cascade:1:1: the cascade has no name
    extent I
    ^^^^^^^^
    start with a line 'cascade NAME'
""",
    ),
    "an_unknown_statement": (
        """\
inpt A[I]
Z[] = A[i]
""",
        """\
bad.cascade:5:1: unknown statement 'inpt'
    inpt A[I]
    ^^^^
    did you mean 'input'?
""",
    ),
    "two_broken_lines": (
        """\
Y[i = A[i]
Z[] = Y[i] +
""",
        """\
bad.cascade:5:5: expected ']' or ',', but '=' stands here
    Y[i = A[i]
        ^
bad.cascade:6:13: expected a number, a tensor, an operator or '(', but the text ends
    Z[] = Y[i] +
                ^
""",
    ),
    "words_after_a_statement": (
        """\
Z[] = A[i] A[i]
""",
        """\
bad.cascade:5:12: expected the end of the line, but 'A' stands here
    Z[] = A[i] A[i]
               ^
""",
    ),
    "a_name_of_mixed_case": (
        """\
Z[] = A[I0x]
""",
        """\
bad.cascade:5:9: 'I0x' is neither a rank variable nor a rank
    Z[] = A[I0x]
            ^^^
    write 'i0x' for the variable, 'I0X' for the rank
""",
    ),
    "a_product_of_variables_as_index": (
        """\
Z[] = A[i*k]
""",
        """\
bad.cascade:5:11: an index is affine: 'i' times 'k' is not
    Z[] = A[i*k]
              ^
""",
    ),
    "an_extent_in_lower_case": (
        """\
extent q
Z[] = A[i]
""",
        """\
bad.cascade:5:8: 'q' is not upper case, as ranks and extents are
    extent q
           ^
    write 'Q'
""",
    ),
    "an_extent_declared_twice": (
        """\
extent I
Z[] = A[i]
""",
        """\
bad.cascade:5:8: extent I is declared twice, first on line 2
    extent I
           ^
""",
    ),
    "a_tensor_declared_twice": (
        """\
input A[I]
Z[] = A[i]
""",
        """\
bad.cascade:5:7: tensor A is declared twice, first on line 3
    input A[I]
          ^
""",
    ),
    "two_headers": (
        """\
cascade u
Z[] = A[i]
""",
        """\
bad.cascade:5:9: a second 'cascade' line
    cascade u
            ^
""",
    ),
    "an_undeclared_rank": (
        """\
input D[J]
Z[] = A[i]*D[j]
""",
        """\
bad.cascade:5:7: D has the rank J, which is not an extent
    input D[J]
          ^
    declare it: 'extent J'
bad.cascade:6:14: rank variable 'j' is bound by nothing: there is no extent J
    Z[] = A[i]*D[j]
                 ^
    declare it: 'extent J'
""",
    ),
    "an_extent_of_itself": (
        """\
extent J = J * I
Z[] = A[i]
""",
        """\
bad.cascade:5:8: extent J is a product of itself
    extent J = J * I
           ^
""",
    ),
    "an_unknown_tensor": (
        """\
Z[] = A[i] * Bb[i,k]
""",
        """\
bad.cascade:5:14: unknown tensor 'Bb'
    Z[] = A[i] * Bb[i,k]
                 ^^
    did you mean 'B'?
""",
    ),
    "an_unknown_operator": (
        """\
Z[] = expp(A[i])
""",
        """\
bad.cascade:5:7: unknown operator 'expp'
    Z[] = expp(A[i])
          ^^^^
    did you mean 'exp'?
""",
    ),
    "too_many_arguments": (
        """\
Z[] = exp(A[i], A[i])
""",
        """\
bad.cascade:5:7: exp takes 1 argument, 2 given
    Z[] = exp(A[i], A[i])
          ^^^
""",
    ),
    "an_operator_that_cannot_reduce": (
        """\
Z[] = A[i] :: exp
""",
        """\
bad.cascade:5:15: 'exp' cannot reduce: it is not associative and commutative
    Z[] = A[i] :: exp
                  ^^^
    one of add, mul, max, min, top
""",
    ),
    "an_unknown_reduction": (
        """\
Z[] = A[i] :: maxx
""",
        """\
bad.cascade:5:15: unknown operator 'maxx'
    Z[] = A[i] :: maxx
                  ^^^^
    did you mean 'max'?
""",
    ),
    "an_unknown_merge": (
        """\
Z[] = A[i] :: max(i; unin)
""",
        """\
bad.cascade:5:15: unknown merge 'unin'
    Z[] = A[i] :: max(i; unin)
                  ^^^
    did you mean 'union'?
""",
    ),
    "a_variable_that_nothing_binds": (
        """\
Y[j] = A[i]
Z[] = Y[j]
""",
        """\
bad.cascade:5:3: rank variable 'j' is bound by nothing: there is no extent J
    Y[j] = A[i]
      ^
    declare it: 'extent J'
bad.cascade:6:9: rank variable 'j' is bound by nothing: there is no extent J
    Z[] = Y[j]
            ^
    declare it: 'extent J'
""",
    ),
    "an_unknown_extent_in_an_index": (
        """\
Z[] = A[i + Q]
""",
        """\
bad.cascade:5:9: 'Q' is not an extent
    Z[] = A[i + Q]
            ^
""",
    ),
    "too_few_indices": (
        """\
Z[] = B[i]
""",
        """\
bad.cascade:5:7: B has 2 ranks [I,K], but 1 is given
    Z[] = B[i]
          ^
""",
    ),
    "indices_in_the_wrong_order": (
        """\
Z[] = B[k,i]
""",
        """\
bad.cascade:5:9: 'k' runs over K, but this rank of B is I
    Z[] = B[k,i]
            ^
    if they are one, say so: 'extent K = I'
bad.cascade:5:11: 'i' runs over I, but this rank of B is K
    Z[] = B[k,i]
              ^
    if they are one, say so: 'extent I = K'
""",
    ),
    "an_index_of_another_rank": (
        """\
Z[] = A[2*k]
""",
        """\
bad.cascade:5:9: this index has no variable of I, the rank of A here
    Z[] = A[2*k]
            ^
""",
    ),
    "a_negative_coordinate": (
        """\
Z[] = A[-1]
""",
        """\
bad.cascade:5:9: coordinate -1 is outside every rank
    Z[] = A[-1]
            ^
""",
    ),
    "a_tensor_defined_twice": (
        """\
Y[] = A[i]
Y[] = A[i]
Z[] = Y[]
""",
        """\
bad.cascade:6:1: Y is defined twice, first on line 5
    Y[] = A[i]
    ^
""",
    ),
    "an_input_that_is_written": (
        """\
A[i] = B[i,k]
Z[] = A[i]
""",
        """\
bad.cascade:5:1: A is an input and cannot be written
    A[i] = B[i,k]
    ^
""",
    ),
    "an_output_never_written": (
        """\
Y[] = A[i]
""",
        """\
bad.cascade:4:8: output Z is never written
    output Z[]
           ^
""",
    ),
    "no_output": (
        """\
cascade t
extent I
input A[I]
Y[] = A[i]
""",
        """\
t has no output
    declare one: 'output Z[...]'
""",
    ),
    "a_coordinate_written_without_init": (
        """\
Y[0] = A[i]
Z[] = A[i]
""",
        """\
bad.cascade:5:3: only an init line writes a single coordinate of Y
    Y[0] = A[i]
      ^
    write 'init Y[...] = ...'
""",
    ),
    "an_output_at_a_stride": (
        """\
Y[2*i] = A[i]
Z[] = A[i]
""",
        """\
bad.cascade:5:3: Y cannot be written at this index
    Y[2*i] = A[i]
      ^
    write a variable, a variable and a constant, or a partition such as 'm1*M0 + m0'
""",
    ),
    "an_output_before_the_first_coordinate": (
        """\
init Y[0] = 0
Y[i-1] = A[i]
Z[] = A[i]
""",
        """\
bad.cascade:6:3: Y is written before coordinate 0
    Y[i-1] = A[i]
      ^
    write 'i' and read a later one
""",
    ),
    "an_output_along_a_diagonal": (
        """\
Y[i,i] = A[i]
Z[] = A[i]
""",
        """\
bad.cascade:5:5: Y is written along a diagonal
    Y[i,i] = A[i]
        ^
    use two rank variables
""",
    ),
    "a_reduction_of_an_output_variable": (
        """\
Y[i] = B[i,k] :: max(i)
Z[] = Y[i]
""",
        """\
bad.cascade:5:18: 'i' cannot be reduced by max: it indexes the output
    Y[i] = B[i,k] :: max(i)
                     ^^^
    reduced here: k
bad.cascade:5:18: no reduction says what happens to 'k'
    Y[i] = B[i,k] :: max(i)
                     ^^^
    add it: ':: max(k)' or ':: add(k)'
""",
    ),
    "a_reduction_of_nothing": (
        """\
Y[i] = A[i] :: max
Z[] = Y[i]
""",
        """\
bad.cascade:5:16: max has nothing to reduce
    Y[i] = A[i] :: max
                   ^^^
""",
    ),
    "a_variable_that_no_reduction_names": (
        """\
Z[] = B[i,k] :: max(k)
""",
        """\
bad.cascade:5:17: no reduction says what happens to 'i'
    Z[] = B[i,k] :: max(k)
                    ^^^
    add it: ':: max(i)' or ':: add(i)'
""",
    ),
    "a_predicate_with_a_new_variable": (
        """\
Z[] = A[i] | i <= k
""",
        """\
bad.cascade:5:19: the predicate names 'k', which is no rank variable of this Einsum
    Z[] = A[i] | i <= k
                      ^
    there are i
""",
    ),
    "a_tensor_without_brackets": (
        """\
Z[] = A[i] * A
""",
        """\
bad.cascade:5:14: 'A' is no extent and no rank variable here
    Z[] = A[i] * A
                 ^
    a tensor has brackets: 'A[...]'
""",
    ),
    "a_last_coordinate_without_generations": (
        """\
Z[] = A[I]
""",
        """\
bad.cascade:5:9: 'I' is a last coordinate, but A has no generations over it
    Z[] = A[I]
            ^
    a last coordinate is that of an iterative rank
""",
    ),
    "a_recurrence_without_start": (
        """\
R[i+1] = R[i] + A[i]
Z[] = R[I]
""",
        """\
bad.cascade:5:1: R reads its own earlier generation, but nothing starts it
    R[i+1] = R[i] + A[i]
    ^
    add 'init R[0] = ...'
""",
    ),
    "generations_in_both_directions": (
        """\
init R[0] = 0
R[i+1] = R[i] + R[i+2] + A[i]
Z[] = R[I]
""",
        """\
bad.cascade:6:1: R reads both earlier and later generations of itself
    R[i+1] = R[i] + R[i+2] + A[i]
    ^
""",
    ),
    "a_use_before_its_definition": (
        """\
Y[i] = X[i]
X[i] = A[i]
Z[] = Y[i]
""",
        """\
bad.cascade:5:8: X is read before line 6 makes it
    Y[i] = X[i]
           ^
""",
    ),
    "a_cycle": (
        """\
Y[i] = X[i]
X[i] = Y[i]
Z[] = Y[i]
""",
        """\
bad.cascade:6:1: X -> Y -> X is a cycle without an iterative rank
    X[i] = Y[i]
    ^
    let one of them write a later generation, as 'RM[m1+1] = ...' does
""",
    ),
    "an_einsum_that_needs_itself": (
        """\
Y[i] = Y[i] + A[i]
Z[] = Y[i]
""",
        """\
bad.cascade:5:1: Y -> Y is a cycle without an iterative rank
    Y[i] = Y[i] + A[i]
    ^
    let one of them write a later generation, as 'RM[m1+1] = ...' does
""",
    ),
    "a_recurrence_that_skips_generations": (
        """\
init R[0] = 0
R[i+2] = R[i] + A[i]
Z[] = R[I]
""",
        """\
bad.cascade:6:1: the recurrence of R advances by 2 generations, so it never reaches the others
    R[i+2] = R[i] + A[i]
    ^
""",
    ),
    "the_last_coordinate_of_another_rank": (
        """\
init R[0] = 0
R[i+1] = R[i] + A[i]
Z[] = R[K]
""",
        """\
bad.cascade:7:9: 'K' is not the last coordinate of I
    Z[] = R[K]
            ^
""",
    ),
    "several_problems_at_once": (
        """\
Z[] = expp(A[i]) * Q[j]
Y[i] = A[i] :: mx
""",
        """\
bad.cascade:5:7: unknown operator 'expp'
    Z[] = expp(A[i]) * Q[j]
          ^^^^
    did you mean 'exp'?
bad.cascade:5:20: unknown tensor 'Q'
    Z[] = expp(A[i]) * Q[j]
                       ^
    declare it as an input, or write it: 'Q[...] = '
bad.cascade:5:22: rank variable 'j' is bound by nothing: there is no extent J
    Z[] = expp(A[i]) * Q[j]
                         ^
    declare it: 'extent J'
bad.cascade:6:16: unknown operator 'mx'
    Y[i] = A[i] :: mx
                   ^^
    did you mean 'max'?
""",
    ),
    "no_index": (
        """\
Z[] = A[]
""",
        """\
bad.cascade:5:7: A has 1 rank [I], but 0 are given
    Z[] = A[]
          ^
""",
    ),
    "a_predicate_without_relation": (
        """\
Z[] = A[i] | i
""",
        """\
bad.cascade:5:15: expected one of < <= == != >= >, but the text ends
    Z[] = A[i] | i
                  ^
""",
    ),
    "a_tensor_started_twice": (
        """\
init R[0] = 0
init R[0] = 1
R[i+1] = R[i] + A[i]
Z[] = R[I]
""",
        """\
bad.cascade:6:6: R is started twice, first on line 5
    init R[0] = 1
         ^
""",
    ),
    "an_extent_of_mixed_case": (
        """\
extent Ab
Z[] = A[i]
""",
        """\
bad.cascade:5:8: 'Ab' is not upper case, as ranks and extents are
    extent Ab
           ^^
    write 'AB'
""",
    ),
    "an_operator_that_is_there": (
        """\
operator exp(x) = x
Z[] = A[i]
""",
        """\
bad.cascade:5:10: operator exp is there already
    operator exp(x) = x
             ^^^
    give it another name
""",
    ),
    "an_operator_that_reads_a_tensor": (
        """\
operator f(x) = x * A[i]
Z[] = f(A[i])
""",
        """\
bad.cascade:5:21: operator f reads A, which is no parameter of it
    operator f(x) = x * A[i]
                        ^
    pass it as an argument
""",
    ),
    "an_unknown_parameter": (
        """\
operator f(value) = valve * 2
Z[] = f(A[i])
""",
        """\
bad.cascade:5:21: 'valve' is no parameter of f
    operator f(value) = valve * 2
                        ^^^^^
    did you mean 'value'?
""",
    ),
    "an_operator_of_ones_own_with_too_many_arguments": (
        """\
operator f(x) = x * 2
Z[] = f(A[i], 2)
""",
        """\
bad.cascade:6:7: f takes 1 argument, 2 given
    Z[] = f(A[i], 2)
          ^
""",
    ),
    "a_stop_without_generations": (
        """\
stop empty(A[i])
Z[] = A[i]
""",
        """\
bad.cascade:5:12: A is not made generation by generation
    stop empty(A[i])
               ^
""",
    ),
    "a_stop_with_too_few_indices": (
        """\
stop R[] == R[i]
init R[0] = 0
R[i+1] = R[i] + A[i]
Z[] = R[I]
""",
        """\
bad.cascade:5:6: R has the ranks [I]
    stop R[] == R[i]
         ^
""",
    ),
    "a_fraction_as_index": (
        """\
Z[] = A[i + 1.5]
""",
        """\
bad.cascade:5:13: expected a whole number, but '1.5' stands here
    Z[] = A[i + 1.5]
                ^^^
""",
    ),
    "an_operator_defined_twice": (
        """\
operator f(x)
operator f(y)
Z[] = f(A[i])
""",
        """\
bad.cascade:6:10: operator f is there already
    operator f(y)
             ^
    give it another name
""",
    ),
}

WHOLE = {"a_text_without_name", "no_output"}


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_whole(name: str) -> None:
    body, message = CASES[name]
    text = (body if name in WHOLE else HEAD + body).removesuffix("\n")
    with pytest.raises(SpecError) as caught:
        parse(Source("bad.cascade", text))
    assert str(caught.value) == message.removesuffix("\n")
    assert caught.value.exit_code == 2
