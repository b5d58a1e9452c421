/// The UNet's names in the layout of the original Stable Diffusion (LDM), in which single files have it.
///
/// diffusers counts blocks, and layers in a block; LDM counts all parts on the way down and on the way up, and in a
/// part the residual block is 0, the transformer 1, an upsampler the last. Inside a transformer the names are the same.
struct LDMUNetNaming: TensorNaming {
    static let prefix = "model.diffusion_model."

    let configuration: UNetConfiguration

    func places(of key: String) -> [TensorPlace] { [TensorPlace(Self.prefix + name(of: key))] }

    func uselessPattern(of name: String) -> String? { nil }

    /// The name without its prefix.
    func name(of key: String) -> String {
        let words = key.split(separator: ".").map(String.init)
        let rest = { (count: Int) in words.dropFirst(count).joined(separator: ".") }
        switch words[0] {
        case "time_embedding": return "time_embed.\(words[1] == "linear_1" ? 0 : 2).\(rest(2))"
        case "conv_in": return "input_blocks.0.0.\(rest(1))"
        case "conv_norm_out": return "out.0.\(rest(1))"
        case "conv_out": return "out.2.\(rest(1))"
        case "mid_block":
            // Residual block, transformer, residual block.
            if words[1] == "attentions" { return "middle_block.1.\(rest(3))" }
            return "middle_block.\(words[2] == "0" ? 0 : 2).\(Self.inResidual(Array(words.dropFirst(3))))"
        default: return inBlock(words)
        }
    }

    /// In `down_blocks.B.resnets.L.…` and its like.
    private func inBlock(_ words: [String]) -> String {
        let (block, layer) = (Int(words[1]) ?? 0, Int(words[3]) ?? 0)
        let rest = Array(words.dropFirst(4))
        let isDown = words[0] == "down_blocks"
        let start = isDown ? firstInput(of: block) : firstOutput(of: block)
        let part = isDown ? "input_blocks" : "output_blocks"
        switch words[2] {
        case "resnets": return "\(part).\(start + layer).0.\(Self.inResidual(rest))"
        case "attentions": return "\(part).\(start + layer).1.\(rest.joined(separator: "."))"
        case "downsamplers":
            // A part of its own, whose convolution is called `op`.
            return
                "\(part).\(start + configuration.layersPerBlock[block]).0.op.\(rest.dropFirst().joined(separator: "."))"
        default:
            let place = configuration.upBlockTypes[block] == .crossAttention ? 2 : 1
            let last = start + layers(upBlock: block) - 1
            return "\(part).\(last).\(place).\(rest.joined(separator: "."))"
        }
    }

    /// The part of the way down with which a block begins: after `conv_in`, and after the layers and samplers before.
    private func firstInput(of block: Int) -> Int {
        configuration.layersPerBlock.prefix(block).reduce(1) { $0 + $1 + 1 }
    }

    /// The part of the way up with which a block begins.
    private func firstOutput(of block: Int) -> Int { (0..<block).reduce(0) { $0 + layers(upBlock: $1) } }

    /// One more than its counterpart on the way down.
    private func layers(upBlock block: Int) -> Int { configuration.layersPerBlock.reversed()[block] + 1 }

    private static let residualNames = [
        "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
        "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
    ]

    private static func inResidual(_ words: [String]) -> String {
        ([residualNames[words[0]] ?? words[0]] + words.dropFirst()).joined(separator: ".")
    }
}
