/// A ControlNet's names in the layout of the original: the UNet's of LDM, and names for the layers around it.
struct LDMControlNetNaming: TensorNaming {
    /// `control_model.`, or nothing.
    let prefix: String
    let configuration: ControlNetConfiguration

    static let prefixes = ["control_model.", ""]
    /// The first layer that a map goes through: what no other network has.
    static let firstLayer = "input_hint_block.0"

    func places(of key: String) -> [TensorPlace] { [TensorPlace(prefix + name(of: key))] }

    func uselessPattern(of name: String) -> String? { nil }

    private func name(of key: String) -> String {
        let words = key.split(separator: ".").map(String.init)
        switch words[0] {
        case "controlnet_cond_embedding": return Self.embeddingName(words, configuration)
        case "controlnet_down_blocks": return "zero_convs.\(words[1]).0.\(words[2])"
        case "controlnet_mid_block": return "middle_block_out.0.\(words[1])"
        default: return LDMUNetNaming(configuration: configuration.encoder).name(of: key)
        }
    }

    /// Convolutions and activations are counted together there.
    private static func embeddingName(_ words: [String], _ configuration: ControlNetConfiguration) -> String {
        let blocks = 2 * (configuration.embeddingChannels.count - 1)
        switch words[1] {
        case "conv_in": return "input_hint_block.0.\(words[2])"
        case "conv_out": return "input_hint_block.\(2 * (blocks + 1)).\(words[2])"
        default: return "input_hint_block.\(2 * ((Int(words[2]) ?? 0) + 1)).\(words[3])"
        }
    }
}
