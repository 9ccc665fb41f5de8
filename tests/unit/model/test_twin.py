from modernbert.model.twin import twin
from support.small import small_model


def test_a_twin_has_the_same_tensors_and_other_modules():
    model, _ = small_model()
    other = twin(model)
    assert [id(each) for each in other.parameters()] == [id(each) for each in model.parameters()]
    assert not {id(each) for each in other.modules()} & {id(each) for each in model.modules()}
    other.model.layers[0].register_forward_hook(lambda *_: None)
    assert not model.model.layers[0]._forward_hooks
