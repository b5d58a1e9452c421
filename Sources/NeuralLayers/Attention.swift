import TensorKernels

/// Attention of the positions of a picture to each other. diffusers' `Attention` as `attn1`: keys `to_q`, `to_k`, `to_v`,
/// `to_out.0`.
public struct SelfAttention: Sendable {
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let attention: ScaledDotProductAttention

    public init(_ scope: ParameterScope, channels: Int, heads: Int, projectionBias: Bool = false) {
        query = Linear(scope["to_q"], inputs: channels, outputs: channels, bias: projectionBias)
        key = Linear(scope["to_k"], inputs: channels, outputs: channels, bias: projectionBias)
        value = Linear(scope["to_v"], inputs: channels, outputs: channels, bias: projectionBias)
        output = Linear(scope["to_out.0"], inputs: channels, outputs: channels)
        attention = ScaledDotProductAttention(heads: heads)
    }

    /// The value for `normalized`, added to `residual`; in the residual's memory when nothing else holds it.
    public func callAsFunction(
        _ normalized: Tensor, addedTo residual: consuming Tensor, mask: AttentionMask?, in context: ComputeContext
    ) throws -> Tensor {
        let arrivals = try context.gathering([key(normalized, in: context), value(normalized, in: context)])
        // The queries while keys and values are on their way.
        let q = try query(normalized, in: context)
        let y = try attention.forward(strip: q, arrivals, mask: mask, in: context).y
        return try output(y, addedTo: residual, in: context)
    }

    /// The pullback gives the gradient with respect to `normalized`; that of `residual` is dy itself.
    public func withPullback(
        _ normalized: Tensor, addedTo residual: consuming Tensor, mask: AttentionMask?, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let k = try key(normalized, in: context)
        let v = try value(normalized, in: context)
        let arrivals = try context.gathering([k, v])
        let q = try query(normalized, in: context)
        let (mixed, saved) = try attention.forward(strip: q, arrivals, mask: mask, in: context)
        return (
            try output(mixed, addedTo: residual, in: context),
            { dy in
                // On their way while the gradient goes through the projection.
                let queries = try attention.gradientQueries(strip: q, in: context)
                let dMixed = try output.gradient(dy, in: context)
                let (dq, dk, dv) = try attention.gradient(
                    strip: dMixed, q: q, queries: queries, k: k, v: v, y: mixed, saved: saved, mask: mask, in: context)
                let fromQueries = try query.gradient(dq, as: .float32, in: context)
                let andKeys = try key.gradient(dk, addedTo: consume fromQueries, in: context)
                return try value.gradient(dv, addedTo: consume andKeys, in: context)
            }
        )
    }

    public func work(positions: Int) -> Work {
        let channels = query.outputs
        let projections = [query, key, value, output].reduce(Work()) { $0 + $1.work(rows: positions) }
        return projections + .attention(queries: positions, keys: positions, channels: channels, areKeysConstant: false)
            + .kept(positions: positions, channels: 4 * channels)
            + Work(
                exchanges: 1, gatheredElements: 2 * Double(positions) * Double(channels),
                gatheringLinear: query.work(rows: positions).linear, fewestHeads: attention.heads)
    }
}

/// Attention of the positions to the prompt's tokens. diffusers' `Attention` as `attn2`.
public struct CrossAttention: Sendable {
    private let name: String
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let attention: ScaledDotProductAttention

    public init(_ scope: ParameterScope, channels: Int, contextWidth: Int, heads: Int) {
        name = scope.path
        query = Linear(scope["to_q"], inputs: channels, outputs: channels, bias: false)
        key = Linear(scope["to_k"], inputs: contextWidth, outputs: channels, bias: false)
        value = Linear(scope["to_v"], inputs: contextWidth, outputs: channels, bias: false)
        output = Linear(scope["to_out.0"], inputs: channels, outputs: channels)
        attention = ScaledDotProductAttention(heads: heads)
    }

    private func keysAndValues(_ prompt: PromptMemory, in context: ComputeContext) throws -> (Tensor, Tensor) {
        try prompt.keysAndValues.value(for: name) {
            (try key(prompt.embedding, in: context), try value(prompt.embedding, in: context))
        }
    }

    /// The value for `normalized`, added to `residual`; in the residual's memory when nothing else holds it.
    ///
    /// - Parameter images: what is seen beside the prompt.
    public func callAsFunction(
        _ normalized: Tensor, addedTo residual: consuming Tensor, prompt: PromptMemory, images: [ImageMemory] = [],
        mask: AttentionMask?, in context: ComputeContext
    ) throws -> Tensor {
        let (k, v) = try keysAndValues(prompt, in: context)
        let q = try query(normalized, in: context)
        let first = context.firstPosition(of: q)
        let mixed = attention.forward(q, k, v, mask: mask, firstQuery: first, in: context).y
        let seen = try ImageAttention(
            q, to: images, of: name, attention, mask: mask, firstQuery: first, in: context)
        return try output(seen.added(to: mixed, in: context), addedTo: residual, in: context)
    }

    /// The pullback gives the gradient with respect to `normalized`; that of `residual` is dy itself.
    public func withPullback(
        _ normalized: Tensor, addedTo residual: consuming Tensor, prompt: PromptMemory, images: [ImageMemory] = [],
        mask: AttentionMask?, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let (k, v) = try keysAndValues(prompt, in: context)
        let q = try query(normalized, in: context)
        let first = context.firstPosition(of: q)
        let (mixed, saved) = attention.forward(q, k, v, mask: mask, firstQuery: first, in: context)
        let seen = try ImageAttention(
            q, to: images, of: name, attention, mask: mask, firstQuery: first, in: context)
        return (
            try output(seen.added(to: mixed, in: context), addedTo: residual, in: context),
            { dy in
                let dMixed = try output.gradient(dy, in: context)
                let dq = attention.queryGradient(
                    dMixed, q: q, k: k, v: v, y: mixed, saved: saved, mask: mask, firstQuery: first, in: context)
                return try query.gradient(seen.gradient(dMixed, addedTo: dq, in: context), in: context)
            }
        )
    }

    /// With the keys and values, which are computed once for a prompt.
    ///
    /// - Parameter images: the tokens of each picture that is seen beside the prompt.
    public func work(positions: Int, tokens: Int, images: [Int] = []) -> Work {
        let channels = query.outputs
        return images.reduce(ofPrompt(positions: positions, tokens: tokens)) { work, tokens in
            work + key.work(rows: tokens) + value.work(rows: tokens)
                + .attention(queries: positions, keys: tokens, channels: channels, areKeysConstant: true)
                + .kept(positions: positions, channels: channels)
                + Work(promptElements: 2 * Double(tokens) * Double(channels))
        }
    }

    private func ofPrompt(positions: Int, tokens: Int) -> Work {
        let channels = query.outputs
        return query.work(rows: positions) + output.work(rows: positions) + key.work(rows: tokens)
            + value.work(rows: tokens)
            + .attention(queries: positions, keys: tokens, channels: channels, areKeysConstant: true)
            + .kept(positions: positions, channels: 2 * channels)
            + Work(promptElements: 2 * Double(tokens) * Double(channels))
    }
}
