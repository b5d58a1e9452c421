import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Layers that add to a residual or a gradient do so in its memory when nobody else holds it, and never otherwise;
/// either way with the same bits.
@Suite struct InPlaceTests {
    private let scope = ParameterScope(RandomWeights())
    private static let shape = [6, 7, 12]

    /// Runs `layer` on x held elsewhere, and on one that only the layer holds.
    ///
    /// - Parameter reuses: whether the result is to lie in the memory of the second.
    private func check(
        reuses: Bool = true, sourceLocation: SourceLocation = #_sourceLocation,
        _ layer: (consuming Tensor, _ other: Tensor, ComputeContext) throws -> Tensor
    ) throws {
        for backend in BackendName.allCases {
            for type in ElementType.allCases {
                let single = try ComputeContext(threads: 2, backend: backend)
                guard single.backend.computes(in: type) else { continue }
                let context = single.with(elementType: type)
                let other = DoubleTensor(normal: Self.shape, seed: 2).tensor(in: context)
                let shared = DoubleTensor(normal: Self.shape, seed: 1).tensor(in: context)
                let (before, otherBefore) = (shared.floats, other.floats)
                let apart = try layer(shared, other, context)
                #expect(apart.place != shared.place, "\(backend), \(type)", sourceLocation: sourceLocation)
                #expect(
                    shared.floats == before && other.floats == otherBefore,
                    "a shared tensor changed: \(backend), \(type)",
                    sourceLocation: sourceLocation)
                let sole = DoubleTensor(normal: Self.shape, seed: 1).tensor(in: context)
                let place = sole.place
                let inPlace = try layer(consume sole, other, context)
                #expect((inPlace.place == place) == reuses, "\(backend), \(type)", sourceLocation: sourceLocation)
                #expect(inPlace.floats == apart.floats, "\(backend), \(type)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test func linear() throws {
        let layer = Linear(scope["linear"], inputs: 12, outputs: 12)
        try check { x, other, context in try layer(other, addedTo: x, in: context) }
        try check { sum, dy, context in try layer.gradient(dy, addedTo: sum, in: context) }
    }

    @Test func convolution() throws {
        let layer = Convolution2D.sameSize(scope["conv"], inputs: 12, outputs: 12)
        try check { x, other, context in try layer(other, addedTo: x, in: context) }
    }

    /// Without a shortcut the block adds to its own input.
    @Test(arguments: [12, 20])
    func residualBlock(outputs: Int) throws {
        let block = ResidualBlock(
            scope["block"], inputs: 12, outputs: outputs, timeWidth: nil, groups: 4, epsilon: 1e-5)
        try check(reuses: outputs == 12) { x, _, context in try block(x, time: nil, in: context) }
    }

    @Test func transformers() throws {
        let block = TransformerBlock(scope["block"], channels: 12, contextWidth: 12, heads: 2)
        let transformer = SpatialTransformer(
            scope["transformer"], channels: 12, contextWidth: 12, heads: 2, depth: 2, groups: 4)
        try check { x, other, context in
            try block(x, prompt: PromptMemory(embedding: other), masks: (nil, nil), in: context)
        }
        try check { x, other, context in
            let conditioning = Conditioning(
                prompt: PromptMemory(embedding: other), time: TimeMemory(activated: other),
                masks: { _, _ in (nil, nil) })
            return try transformer(x, conditioning, in: context)
        }
    }

    /// With a pullback the input is kept for the norm's gradient, and dy belongs to the caller.
    @Test(arguments: [12, 20])
    func recordedResidualBlock(outputs: Int) throws {
        let block = ResidualBlock(
            scope["block"], inputs: 12, outputs: outputs, timeWidth: nil, groups: 4, epsilon: 1e-5)
        try check(reuses: false) { x, _, context in
            let (y, pullback) = try block.withPullback(x, time: nil, in: context)
            let dy = DoubleTensor(normal: y.shape, seed: 3).tensor(in: context)
            let (value, gradient) = (y.floats, dy.floats)
            let dx = try pullback(dy)
            #expect(y.floats == value && dy.floats == gradient)
            return dx
        }
    }
}

extension Tensor {
    /// Where the elements are.
    fileprivate var place: UnsafeRawPointer? { withUnsafeBytes { $0.baseAddress } }
}
