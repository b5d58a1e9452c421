import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Holds a layer against its definition in float64, on both backends: its value, its value again when a pullback is
/// wanted (the same bits), and the pullback dotted with random directions against central differences of the
/// definition. Then the backends against each other.
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
    for backend in BackendName.allCases {
        let context = try ComputeContext(threads: 2, backend: backend)
        let input = x.tensor(in: context)
        let cotangent = dy.tensor(in: context)
        let plain = try value(input, context)
        #expect(
            plain.relativeError(to: expected) < valueTolerance, "value, \(backend)", sourceLocation: sourceLocation)
        let (y, pullback) = try recorded(input, context)
        #expect(y.floats == plain.floats, "recording changes the value, \(backend)", sourceLocation: sourceLocation)
        let dx = try pullback(cotangent)
        #expect(dx.shape == shape, sourceLocation: sourceLocation)
        let gradient = DoubleTensor(dx.floats, shape: shape)
        for (direction, slope) in zip(directions, slopes) {
            let error = abs(gradient.dot(direction) - slope) / gradient.norm
            #expect(error < slopeTolerance, "pullback, \(backend)", sourceLocation: sourceLocation)
        }
        #expect(
            input.floats == x.floats && cotangent.floats == dy.floats && y.floats == plain.floats,
            "something was overwritten", sourceLocation: sourceLocation)
        results.append((plain, dx))
    }
    #expect(
        relativeError(results[0].value.floats, results[1].value.floats.map { Double($0) }) < valueTolerance,
        "backends differ", sourceLocation: sourceLocation)
    #expect(
        relativeError(results[0].gradient.floats, results[1].gradient.floats.map { Double($0) }) < slopeTolerance,
        "backends differ in the gradient", sourceLocation: sourceLocation)
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
