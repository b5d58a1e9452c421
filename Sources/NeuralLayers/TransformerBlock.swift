import TensorKernels

/// x + attn1(norm1(x)), then + attn2(norm2(x), prompt), then + ff(norm3(x)). diffusers' `BasicTransformerBlock`.
public struct TransformerBlock: Sendable {
    private let norms: [LayerNorm]
    private let own: SelfAttention
    private let cross: CrossAttention
    private let feedForward: FeedForward

    public init(_ scope: ParameterScope, channels: Int, contextWidth: Int, heads: Int) {
        norms = (1...3).map { LayerNorm(scope["norm\($0)"], channels: channels) }
        own = SelfAttention(scope["attn1"], channels: channels, heads: heads)
        cross = CrossAttention(scope["attn2"], channels: channels, contextWidth: contextWidth, heads: heads)
        feedForward = FeedForward(scope["ff"], channels: channels)
    }

    /// The masks that act at one size, as `Conditioning.masks` gives them.
    public typealias Masks = (cross: AttentionMask?, own: AttentionMask?)

    /// x `[h, w, channels]`; in its memory when nothing else holds it.
    public func callAsFunction(
        _ x: consuming Tensor, prompt: PromptMemory, images: [ImageMemory] = [], masks: Masks,
        in context: ComputeContext
    ) throws -> Tensor {
        let first = try own(norms[0](x, in: context), addedTo: x, mask: masks.own, in: context)
        let second = try cross(
            norms[1](first, in: context), addedTo: consume first, prompt: prompt, images: images, mask: masks.cross,
            in: context)
        return try feedForward(norms[2](second, in: context), addedTo: consume second, in: context)
    }

    public func withPullback(
        _ x: Tensor, prompt: PromptMemory, images: [ImageMemory] = [], masks: Masks, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let first = try residual(norms[0], x, in: context) {
            try own.withPullback($0, addedTo: x, mask: masks.own, in: context)
        }
        let second = try residual(norms[1], first.y, in: context) {
            try cross.withPullback(
                $0, addedTo: first.y, prompt: prompt, images: images, mask: masks.cross, in: context)
        }
        let third = try residual(norms[2], second.y, in: context) {
            try feedForward.withPullback($0, addedTo: second.y, in: context)
        }
        return (third.y, { dy in try first.pullback(second.pullback(third.pullback(dy))) })
    }

    public func work(positions: Int, tokens: Int, images: [Int] = []) -> Work {
        let layers =
            own.work(positions: positions) + cross.work(positions: positions, tokens: tokens, images: images)
            + feedForward.work(positions: positions)
        return norms.reduce(layers) { $0 + $1.work(positions: positions) }
    }

    /// x + branch(norm(x)), whose gradient is dy + norm^T branch^T dy.
    private func residual(
        _ norm: LayerNorm, _ x: Tensor, in context: ComputeContext,
        _ branch: (Tensor) throws -> (y: Tensor, pullback: Pullback)
    ) throws -> (y: Tensor, pullback: Pullback) {
        let (normalized, throughNorm) = try norm.withPullback(x, in: context)
        let (y, throughBranch) = try branch(normalized)
        return (y, { dy in try throughNorm(throughBranch(dy)).adding(dy, in: context) })
    }
}

/// Transformer blocks over the positions of a picture, between two projections. diffusers' `Transformer2DModel`.
public struct SpatialTransformer: Sendable {
    private let norm: GroupNorm
    private let projectIn: Linear
    private let blocks: [TransformerBlock]
    private let projectOut: Linear

    /// - Parameter groups: `norm_num_groups`; the epsilon is 1e-6 in every Stable Diffusion model.
    public init(
        _ scope: ParameterScope, channels: Int, contextWidth: Int, heads: Int, depth: Int, groups: Int
    ) {
        norm = GroupNorm(scope["norm"], channels: channels, groups: groups, epsilon: 1e-6)
        projectIn = Linear(scope["proj_in"], inputs: channels, outputs: channels)
        blocks = (0..<depth).map {
            TransformerBlock(
                scope["transformer_blocks.\($0)"], channels: channels, contextWidth: contextWidth, heads: heads)
        }
        projectOut = Linear(scope["proj_out"], inputs: channels, outputs: channels)
    }

    /// x `[h, w, channels]`; in its memory when nothing else holds it.
    public func callAsFunction(
        _ x: consuming Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> Tensor {
        let masks = conditioning.masks(context.cut(of: x).height, x.shape[1])
        var hidden = try projectIn(norm(x, in: context), as: .float32, in: context)
        for block in blocks {
            hidden = try block(
                consume hidden, prompt: conditioning.prompt, images: conditioning.images, masks: masks, in: context)
        }
        return try projectOut(hidden, addedTo: x, in: context)
    }

    public func withPullback(
        _ x: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let masks = conditioning.masks(context.cut(of: x).height, x.shape[1])
        let (normalized, throughNorm) = try norm.withPullback(x, in: context)
        var hidden = try projectIn(normalized, as: .float32, in: context)
        var pullbacks: [Pullback] = []
        for block in blocks {
            let (y, pullback) = try block.withPullback(
                hidden, prompt: conditioning.prompt, images: conditioning.images, masks: masks, in: context)
            hidden = y
            pullbacks.append(pullback)
        }
        return (
            try projectOut(hidden, addedTo: x, in: context),
            { dy in
                var gradient = try projectOut.gradient(dy, as: .float32, in: context)
                for pullback in pullbacks.reversed() { gradient = try pullback(gradient) }
                return try throughNorm(projectIn.gradient(gradient, in: context)).adding(dy, in: context)
            }
        )
    }

    /// - Parameter projectsLinearly: whether the architecture has linear layers for its projections, or convolutions
    ///   of kernel 1, which are the same numbers under another name.
    public func work(height: Int, width: Int, tokens: Int, images: [Int] = [], projectsLinearly: Bool) -> Work {
        let positions = height * width
        let projections = projectIn.work(rows: positions) + projectOut.work(rows: positions)
        let inside = blocks.reduce(norm.work(positions: positions)) {
            $0 + $1.work(positions: positions, tokens: tokens, images: images)
        }
        return inside + (projectsLinearly ? projections : projections.asConvolutions)
    }
}
