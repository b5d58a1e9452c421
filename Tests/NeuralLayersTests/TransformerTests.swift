import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Attention layers and what is made of them, under every mask: see `check` for what is held against what.
@Suite struct TransformerTests {
    private let scope = ParameterScope(RandomWeights())
    private let reference = ReferenceScope()
    private static let foreground = (0..<63).map { UInt8($0 % 9 > 3 && $0 / 9 > 1 ? 1 : 0) }
    private static let cross = AttentionMask.firstKeyOnly(foreground: foreground, chunk: 2)
    private static let own = AttentionMask.backgroundKeys(foreground: foreground)
    /// The prompt's embedding.
    private let prompt = DoubleTensor(normal: [11, 20], seed: 1)

    @Test func feedForward() throws {
        let layer = FeedForward(scope["ff"], channels: 24)
        try check(
            shape: [17, 24], reference: { $0 + reference["ff"].feedForward($0) },
            value: { try layer($0, addedTo: $0, in: $1) },
            recorded: { try withResidual($0, $1, layer.withPullback($0, addedTo: $0, in: $1)) })
    }

    @Test(arguments: [nil, .causal, own, cross])
    func selfAttention(mask: AttentionMask?) throws {
        let layer = SelfAttention(scope["attn1"], channels: 24, heads: 3)
        try check(
            shape: [63, 24], reference: { $0 + reference["attn1"].attention($0, to: $0, heads: 3, mask: mask) },
            value: { try layer($0, addedTo: $0, mask: mask, in: $1) },
            recorded: { try withResidual($0, $1, layer.withPullback($0, addedTo: $0, mask: mask, in: $1)) })
    }

    @Test(arguments: [nil, cross])
    func crossAttention(mask: AttentionMask?) throws {
        let layer = CrossAttention(scope["attn2"], channels: 24, contextWidth: 20, heads: 2)
        try check(
            shape: [63, 24], reference: { $0 + reference["attn2"].attention($0, to: prompt, heads: 2, mask: mask) },
            value: { try layer($0, addedTo: $0, prompt: memory($1), mask: mask, in: $1) },
            recorded: {
                try withResidual($0, $1, layer.withPullback($0, addedTo: $0, prompt: memory($1), mask: mask, in: $1))
            })
    }

    /// A background query sees no picture, as it sees no prompt.
    @Test(arguments: [nil, cross])
    func crossAttentionToPictures(mask: AttentionMask?) throws {
        let layer = CrossAttention(scope["attn2"], channels: 24, contextWidth: 20, heads: 2)
        let pictures = [("first", 5, 0.7), ("second", 3, -1.3)].map { name, count, scale in
            (tokens: DoubleTensor(normal: [count, 20], seed: UInt64(count)), scope: reference[name], scale: scale)
        }
        func images(_ context: ComputeContext) -> [ImageMemory] {
            pictures.map { picture in
                let projection = ImageProjection(scope[picture.scope.path], contextWidth: 20, channels: 24)
                return ImageMemory(
                    tokens: picture.tokens.tensor(in: context), projections: ["attn2": projection], scale: picture.scale
                )
            }
        }
        try check(
            shape: [63, 24],
            reference: {
                $0 + reference["attn2"].attention($0, to: prompt, pictures: pictures, heads: 2, mask: mask)
            }, value: { try layer($0, addedTo: $0, prompt: memory($1), images: images($1), mask: mask, in: $1) },
            recorded: {
                try withResidual(
                    $0, $1,
                    layer.withPullback($0, addedTo: $0, prompt: memory($1), images: images($1), mask: mask, in: $1))
            })
    }

    @Test(arguments: [nil, cross], [nil, own])
    func transformerBlock(cross: AttentionMask?, own: AttentionMask?) throws {
        let layer = TransformerBlock(scope["block"], channels: 24, contextWidth: 20, heads: 3)
        try check(
            shape: [63, 24],
            reference: {
                reference["block"].transformerBlock($0, prompt: prompt, heads: 3, cross: cross, own: own)
            }, value: { try layer($0, prompt: memory($1), masks: (cross, own), in: $1) },
            recorded: { try layer.withPullback($0, prompt: memory($1), masks: (cross, own), in: $1) })
    }

    @Test(arguments: [false, true], [1, 2])
    func spatialTransformer(masked: Bool, depth: Int) throws {
        let layer = SpatialTransformer(
            scope["transformer"], channels: 24, contextWidth: 20, heads: 3, depth: depth, groups: 4)
        let (cross, own) = masked ? (Self.cross, Self.own) : (nil, nil)
        func conditioning(_ context: ComputeContext) -> Conditioning {
            Conditioning(
                prompt: memory(context), time: TimeMemory(activated: prompt.tensor(in: context)),
                masks: { height, width in height == 7 && width == 9 ? (cross, own) : (nil, nil) })
        }
        try check(
            shape: [7, 9, 24],
            reference: {
                reference["transformer"].spatialTransformer(
                    $0, prompt: prompt, heads: 3, depth: depth, groups: 4, cross: cross, own: own)
            }, value: { try layer($0, conditioning($1), in: $1) },
            recorded: { try layer.withPullback($0, conditioning($1), in: $1) })
    }

    private func memory(_ context: ComputeContext) -> PromptMemory {
        PromptMemory(embedding: prompt.tensor(in: context))
    }

    /// The pullback of a layer whose input is its residual too.
    private func withResidual(
        _ x: Tensor, _ context: ComputeContext, _ layer: (y: Tensor, pullback: Pullback)
    ) -> (y: Tensor, pullback: Pullback) {
        (layer.y, { dy in try layer.pullback(dy).adding(dy, in: context) })
    }
}
