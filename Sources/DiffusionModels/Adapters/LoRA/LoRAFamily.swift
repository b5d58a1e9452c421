/// The models that a LoRA may be for, as far as its file tells.
enum LoRAFamily: Equatable {
    /// Stable Diffusion with cross-attention to states of this width.
    case contextWidth(Int)
    case xl
    case stableDiffusion3
    case flux
    case other(String)

    var description: String {
        switch self {
        case .contextWidth(768): "for Stable Diffusion 1.x"
        case .contextWidth(1024): "for Stable Diffusion 2.x"
        case .contextWidth(2048), .xl: "for Stable Diffusion XL"
        case .contextWidth(let width): "for a model whose prompts have the width \(width)"
        case .stableDiffusion3: "for Stable Diffusion 3"
        case .flux: "for Flux"
        case .other(let name): "for \(name)"
        }
    }

    /// Told from names that no other family has.
    init?(names: [String]) {
        let marks: [(LoRAFamily, [String])] = [
            (.flux, ["double_blocks", "single_blocks", "single_transformer_blocks"]),
            (.stableDiffusion3, ["joint_blocks", "context_embedder", "lora_te3_", "text_encoder_3."]),
            (.xl, ["lora_te1_", "lora_te2_", "text_encoder_2.", "add_embedding", "label_emb"]),
            (.other("a transformer, and not a UNet"), ["transformer.transformer_blocks", "lora_transformer_"]),
        ]
        let family = marks.first { mark in names.contains { name in mark.1.contains { name.contains($0) } } }
        guard let family else { return nil }
        self = family.0
    }

    /// Told from names, or from the width of what cross-attention takes.
    init?(_ modules: [LoRAModule]) {
        if let family = LoRAFamily(names: modules.map(\.name)) {
            self = family
            return
        }
        let attention = modules.first { module in
            ["attn2.to_k", "attn2_to_k", "attn2.processor.to_k_lora"].contains { module.name.hasSuffix($0) }
        }
        guard let attention else { return nil }
        self = .contextWidth(attention.columns)
    }

    /// Whether a model can't take it, whatever the shapes of its modules are.
    func isForeign(to contextWidth: Int) -> Bool {
        switch self {
        case .contextWidth(let width): width != contextWidth
        default: true
        }
    }
}
