/// The autoencoder's names in the layout of the original Stable Diffusion (LDM).
struct LDMAutoencoderNaming: TensorNaming {
    /// `first_stage_model.`, or what else the file has before the names; empty in a file of the autoencoder alone.
    let prefix: String
    /// How many blocks encoder and decoder have: the decoder's are counted from the last.
    let blocks: Int

    /// Of whole checkpoints, that written first.
    static let prefixes = ["first_stage_model.", "vae."]

    func places(of key: String) -> [TensorPlace] { [TensorPlace(prefix + name(of: key))] }

    /// The judge that the autoencoder was trained against.
    func uselessPattern(of name: String) -> String? { name.hasPrefix(prefix + "loss.") ? prefix + "loss.*" : nil }

    private func name(of key: String) -> String {
        let words = key.split(separator: ".").map(String.init)
        guard words.count > 2 else { return key }
        let rest = { (count: Int) in Array(words.dropFirst(count)) }
        switch words[1] {
        case "down_blocks": return joined([words[0], "down", words[2]] + inBlock(rest(3)))
        case "up_blocks":
            return joined([words[0], "up", "\(blocks - 1 - (Int(words[2]) ?? 0))"] + inBlock(rest(3)))
        case "mid_block":
            if words[2] == "attentions" { return joined([words[0], "mid", "attn_1"] + Self.inAttention(rest(4))) }
            return joined([words[0], "mid", words[3] == "0" ? "block_1" : "block_2"] + Self.inResidual(rest(4)))
        case "conv_norm_out": return joined([words[0], "norm_out"] + rest(2))
        default: return key
        }
    }

    private func inBlock(_ words: [String]) -> [String] {
        switch words[0] {
        case "downsamplers": ["downsample"] + words.dropFirst(2)
        case "upsamplers": ["upsample"] + words.dropFirst(2)
        default: ["block", words[1]] + Self.inResidual(Array(words.dropFirst(2)))
        }
    }

    private static func inResidual(_ words: [String]) -> [String] {
        words[0] == "conv_shortcut" ? ["nin_shortcut"] + words.dropFirst() : words
    }

    private static func inAttention(_ words: [String]) -> [String] {
        let names = ["group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v"]
        if words[0] == "to_out" { return ["proj_out"] + words.dropFirst(2) }
        return [names[words[0]] ?? words[0]] + words.dropFirst()
    }

    private func joined(_ words: [String]) -> String { words.joined(separator: ".") }
}
