"""The paper's templates, byte for byte."""

from server.tuning.templates import extraction_prompt, reasoning_prompt, retrieval_prompt


def test_retrieval_template() -> None:
    assert (
        retrieval_prompt("What does a dog enjoy?", "dog")
        == "To answer the query: What does a dog enjoy?, I need information dog"
    )


def test_reasoning_template_with_one_and_several_facts() -> None:
    assert reasoning_prompt("What does a dog enjoy?", ["dog likes meat"]) == (
        "Answer the query considering the user's personalized facts."
        " <question>: What does a dog enjoy? <facts>: dog likes meat <answer>:"
    )
    assert reasoning_prompt("q", ["a is b", "c is d"]).endswith(
        " <facts>: a is b; c is d <answer>:"
    )


def test_extraction_template() -> None:
    assert extraction_prompt("What does a dog enjoy?", "vegetables", "dog", "vegetables", 5) == (
        "Based on the provided query and answer, identify 5 types of relationships between the"
        " subject <subject> and the object <object>, considering the context of the query and"
        " answer. <query>: What does a dog enjoy?"
        " <answer>: vegetables <subject>: dog <object>: vegetables <relation>:"
    )


def test_braces_in_a_query_are_just_text() -> None:
    assert "{facts}" in reasoning_prompt("what is {facts}?", ["x is y"])
