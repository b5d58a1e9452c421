import TensorKernels

/// What one layer of cross-attention makes keys and values of a picture's tokens with. An IP-Adapter's `to_k_ip` and
/// `to_v_ip`.
public struct ImageProjection: Sendable {
    let key: Linear
    let value: Linear

    public init(_ scope: ParameterScope, contextWidth: Int, channels: Int) {
        key = Linear(scope["to_k_ip"], inputs: contextWidth, outputs: channels, bias: false)
        value = Linear(scope["to_v_ip"], inputs: contextWidth, outputs: channels, bias: false)
    }
}

/// A picture's tokens, as one branch of a job sees them, and the keys and values that every cross-attention makes of
/// them: once for a job.
public final class ImageMemory: Sendable {
    /// What the values' part of a layer's output is multiplied with.
    let scale: Float
    private let tokens: Tensor
    private let projections: [String: ImageProjection]
    private let made = LayerMemory<(keys: Tensor, values: Tensor)>()

    /// - Parameters:
    ///   - tokens: `[tokens, width]`.
    ///   - projections: by the names of the layers of cross-attention.
    public init(tokens: Tensor, projections: [String: ImageProjection], scale: Double) {
        self.tokens = tokens
        self.projections = projections
        self.scale = Float(scale)
    }

    func keysAndValues(of layer: String, in context: ComputeContext) throws -> (keys: Tensor, values: Tensor) {
        guard let projection = projections[layer] else { preconditionFailure("no image projection for \(layer)") }
        return try made.value(for: layer) {
            (try projection.key(tokens, in: context), try projection.value(tokens, in: context))
        }
    }
}

/// What a layer of cross-attention computes of pictures for queries q: the sum over pictures of s F Attn(q, K, V).
///
/// F is 1 in the foreground and 0 in the background, which sees no picture, as it sees no prompt (the paper's Eq. 14); 1
/// everywhere where no mask acts.
struct ImageAttention {
    /// One picture's part.
    private struct Part {
        let keys: Tensor
        let values: Tensor
        let output: Tensor
        let saved: ScaledDotProductAttention.Saved
        let scale: Float
    }

    private let parts: [Part]
    private let attention: ScaledDotProductAttention
    private let foreground: [UInt8]?
    private let queries: Tensor

    /// - Parameter firstQuery: the position of the first query in the whole picture, by which the mask is read.
    init(
        _ queries: Tensor, to images: [ImageMemory], of layer: String, _ attention: ScaledDotProductAttention,
        mask: AttentionMask?, firstQuery: Int, in context: ComputeContext
    ) throws {
        self.queries = queries
        self.attention = attention
        foreground = mask?.foreground.map { Array($0[firstQuery..<firstQuery + queries.rows]) }
        parts = try images.map { image in
            let (keys, values) = try image.keysAndValues(of: layer, in: context)
            let (output, saved) = attention.forward(queries, keys, values, in: context)
            return Part(keys: keys, values: values, output: output, saved: saved, scale: image.scale)
        }
    }

    /// The sum, with what the prompt gives, in float32; that itself where there is no picture.
    func added(to mixed: Tensor, in context: ComputeContext) -> Tensor {
        let exact = context.with(elementType: .float32)
        return parts.reduce(mixed) { sum, part in
            sum.converted(in: exact).adding(
                part.output.converted(in: exact).scaled(by: part.scale, where: foreground, in: exact), in: exact)
        }
    }

    /// The queries' gradient with that of these parts.
    ///
    /// - Parameters:
    ///   - dy: of the layer's output before its last projection.
    ///   - dq: of what the prompt gives.
    func gradient(_ dy: Tensor, addedTo dq: Tensor, in context: ComputeContext) -> Tensor {
        let exact = context.with(elementType: .float32)
        return parts.reduce(dq) { sum, part in
            let own = attention.queryGradient(
                dy.converted(in: exact).scaled(by: part.scale, where: foreground, in: exact), q: queries, k: part.keys,
                v: part.values, y: part.output, saved: part.saved, in: context)
            return sum.converted(in: exact).adding(own.converted(in: exact), in: exact)
        }
    }
}
