import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Holds a layer against its definition in float64, on both backends and every instruction set that the processor has
/// (three on one with AVX-512): its value, its value again when a pullback is wanted (the same bits), and the pullback
/// dotted with random directions against central differences of the definition. Then all of them against each other.
///
/// - Parameters:
///   - valueTolerance: of the largest value.
///   - slopeTolerance: of the gradient's norm, which is the standard deviation of its product with a direction.
func check(
    shape: [Int], valueTolerance: Double = 5e-6, slopeTolerance: Double = 2e-5,
    reference: (DoubleTensor) -> DoubleTensor,
    value: (Tensor, ComputeContext) throws -> Tensor,
    recorded: (Tensor, ComputeContext) throws -> (y: Tensor, pullback: Pullback),
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let x = DoubleTensor(normal: shape, seed: 100)
    let expected = reference(x)
    let dy = DoubleTensor(normal: expected.shape, seed: 101)
    let directions = (102..<105).map { DoubleTensor(normal: shape, seed: $0) }
    let slopes = directions.map { directionalDerivative(of: reference, at: x, along: $0, against: dy) }
    var results: [(value: Tensor, gradient: Tensor)] = []
    let contexts = BackendName.allCases.flatMap { ComputeContext.ofAllInstructionSets(threads: 2, backend: $0) }
    try #require(contexts.count >= BackendName.allCases.count, sourceLocation: sourceLocation)
    for context in contexts {
        let place: Comment = "\(context.backend.name), \(context.instructionSetName)"
        let input = x.tensor(in: context)
        let cotangent = dy.tensor(in: context)
        let plain = try value(input, context)
        #expect(plain.relativeError(to: expected) < valueTolerance, place, sourceLocation: sourceLocation)
        let (y, pullback) = try recorded(input, context)
        #expect(y.floats == plain.floats, place, sourceLocation: sourceLocation)
        let dx = try pullback(cotangent)
        #expect(dx.shape == shape, sourceLocation: sourceLocation)
        let gradient = DoubleTensor(dx.floats, shape: shape)
        for (direction, slope) in zip(directions, slopes) {
            let error = abs(gradient.dot(direction) - slope) / gradient.norm
            #expect(error < slopeTolerance, place, sourceLocation: sourceLocation)
        }
        #expect(
            input.floats == x.floats && cotangent.floats == dy.floats && y.floats == plain.floats,
            "something was overwritten: \(place)", sourceLocation: sourceLocation)
        results.append((plain, dx))
    }
    let first = (value: results[0].value.floats, gradient: results[0].gradient.floats)
    for (result, context) in zip(results, contexts).dropFirst() {
        let place: Comment = "\(contexts[0].backend.name) and \(context.backend.name), \(context.instructionSetName)"
        #expect(
            relativeError(result.value.floats, first.value.map { Double($0) }) < valueTolerance, place,
            sourceLocation: sourceLocation)
        #expect(
            relativeError(result.gradient.floats, first.gradient.map { Double($0) }) < slopeTolerance, place,
            sourceLocation: sourceLocation)
    }
}

/// The same for a layer of one argument.
func check(
    _ layer: some Layer, shape: [Int], reference: (DoubleTensor) -> DoubleTensor,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    try check(
        shape: shape, reference: reference, value: { try layer($0, in: $1) },
        recorded: { try layer.withPullback($0, in: $1) }, sourceLocation: sourceLocation)
}
