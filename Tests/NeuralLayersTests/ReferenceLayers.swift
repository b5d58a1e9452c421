import ReferenceKernels
import TensorKernels

/// The layers in float64 over the weights that `RandomWeights` makes up for a prefix.
struct ReferenceScope {
    let path: String

    init(_ path: String = "") { self.path = path }

    subscript(part: String) -> ReferenceScope { ReferenceScope(key(part)) }

    private func key(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func numbers(_ name: String, _ shape: [Int]) -> DoubleTensor {
        RandomWeights.numbers(key(name), shape)
    }

    func linear(_ x: DoubleTensor, outputs: Int, bias: Bool = true) -> DoubleTensor {
        x.linear(numbers("weight", [outputs, x.columns]), bias ? numbers("bias", [outputs]) : nil)
    }

    func convolution(_ x: DoubleTensor, _ geometry: ConvolutionGeometry) -> DoubleTensor {
        let shape = [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel]
        let convolution = ReferenceConvolution(
            numbers("weight", shape), stride: geometry.stride, padding: geometry.padding)
        return convolution(x, numbers("bias", [geometry.outputs]))
    }

    func sameSize(_ x: DoubleTensor, outputs: Int) -> DoubleTensor {
        convolution(x, ConvolutionGeometry(inputs: x.columns, outputs: outputs, kernel: 3, before: 1, after: 1))
    }

    func groupNorm(_ x: DoubleTensor, groups: Int, epsilon: Double) -> DoubleTensor {
        x.groupNorm(groups: groups, numbers("weight", [x.columns]), numbers("bias", [x.columns]), epsilon: epsilon)
    }

    func layerNorm(_ x: DoubleTensor) -> DoubleTensor {
        x.layerNorm(numbers("weight", [x.columns]), numbers("bias", [x.columns]), epsilon: 1e-5)
    }

    func feedForward(_ x: DoubleTensor) -> DoubleTensor {
        let gated = self["net.0.proj"].linear(x, outputs: 8 * x.columns).gatedGELU
        return self["net.2"].linear(gated, outputs: x.columns)
    }

    /// A picture that cross-attention sees: its tokens, and where the weights for them are.
    typealias Picture = (tokens: DoubleTensor, scope: ReferenceScope, scale: Double)

    /// Self-attention where `memory` is x itself.
    func attention(
        _ x: DoubleTensor, to memory: DoubleTensor, pictures: [Picture] = [], heads: Int, mask: AttentionMask?
    ) -> DoubleTensor {
        let queries = self["to_q"].linear(x.reshaped([x.rows, x.columns]), outputs: x.columns, bias: false)
        var mixed = ReferenceAttention(heads: heads, mask: mask)(
            queries, self["to_k"].linear(memory, outputs: x.columns, bias: false),
            self["to_v"].linear(memory, outputs: x.columns, bias: false))
        for picture in pictures {
            let seen = ReferenceAttention(heads: heads, mask: nil)(
                queries, picture.scope["to_k_ip"].linear(picture.tokens, outputs: x.columns, bias: false),
                picture.scope["to_v_ip"].linear(picture.tokens, outputs: x.columns, bias: false))
            for place in mixed.values.indices where mask?.foreground?[place / x.columns] ?? 1 == 1 {
                mixed.values[place] += picture.scale * seen.values[place]
            }
        }
        return self["to_out.0"].linear(mixed, outputs: x.columns).reshaped(x.shape)
    }

    func transformerBlock(
        _ x: DoubleTensor, prompt: DoubleTensor, heads: Int, cross: AttentionMask?, own: AttentionMask?
    ) -> DoubleTensor {
        let normalized = self["norm1"].layerNorm(x)
        let first =
            x + self["attn1"].attention(normalized, to: normalized, heads: heads, mask: own)
        let second =
            first + self["attn2"].attention(self["norm2"].layerNorm(first), to: prompt, heads: heads, mask: cross)
        return second + self["ff"].feedForward(self["norm3"].layerNorm(second))
    }

    func spatialTransformer(
        _ x: DoubleTensor, prompt: DoubleTensor, heads: Int, depth: Int, groups: Int, cross: AttentionMask?,
        own: AttentionMask?
    ) -> DoubleTensor {
        let normalized = self["norm"].groupNorm(x, groups: groups, epsilon: 1e-6)
        var hidden = self["proj_in"].linear(normalized.reshaped([x.rows, x.columns]), outputs: x.columns)
        for block in 0..<depth {
            hidden = self["transformer_blocks.\(block)"].transformerBlock(
                hidden, prompt: prompt, heads: heads, cross: cross, own: own)
        }
        return x + self["proj_out"].linear(hidden, outputs: x.columns).reshaped(x.shape)
    }

    /// - Parameter time: the time embedding after its SiLU, or nil where there is none.
    func residualBlock(_ x: DoubleTensor, outputs: Int, time: DoubleTensor?, groups: Int) -> DoubleTensor {
        var hidden = self["conv1"].sameSize(
            self["norm1"].groupNorm(x, groups: groups, epsilon: 1e-5).silu, outputs: outputs)
        if let time {
            let shift = self["time_emb_proj"].linear(time, outputs: outputs)
            for place in hidden.values.indices { hidden.values[place] += shift.values[place % outputs] }
        }
        let result = self["conv2"].sameSize(
            self["norm2"].groupNorm(hidden, groups: groups, epsilon: 1e-5).silu, outputs: outputs)
        return result + (x.columns == outputs ? x : self["conv_shortcut"].linear(x, outputs: outputs))
    }
}
