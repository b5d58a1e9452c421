import Failures

/// The names that files of LoRAs give to a model's modules.
enum LoRANames {
    /// - Parameters:
    ///   - module: its name in current diffusers: `down_blocks.0.attentions.0.proj_in`.
    ///   - original: its name in the layout of the original Stable Diffusion: `input_blocks.1.1.proj_in`.
    static func ofUNet(_ module: String, original: String) -> [String] {
        var names = [
            "lora_unet_\(flattened(module))", "lora_unet_\(flattened(original))", "unet.\(module)", module,
            "base_model.model.\(module)",
        ]
        if let (parent, projection) = attention(module, ["to_q", "to_k", "to_v", "to_out.0"]) {
            let processors = ["\(parent).processor", parent].map { "\($0).\(projection)_lora" }
            names += processors.flatMap { ["unet.\($0)", $0] }
            // PEFT's magnitudes, where diffusers has renamed them.
            if projection == "to_out" { names += ["unet.\(parent).to_out", "\(parent).to_out"] }
        }
        return names
    }

    /// - Parameter module: its name without `text_model.`: `encoder.layers.0.self_attn.q_proj`.
    static func ofTextEncoder(_ module: String) -> [String] {
        var modules = [module]
        if let (parent, projection) = attention(module, ["q_proj", "k_proj", "v_proj", "out_proj"]) {
            let words = ["q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"]
            modules += words[projection].map { ["\(parent).\($0)_lora"] } ?? []
        }
        return ["text_model.", ""].flatMap { prefix in
            ["lora_te_\(flattened(prefix + module))"]
                + modules.flatMap { ["text_encoder.\(prefix)\($0)", "base_model.model.\(prefix)\($0)"] }
        }
    }

    /// With underscores for dots.
    private static func flattened(_ name: String) -> String {
        name.split(separator: ".").joined(separator: "_")
    }

    /// What a projection belongs to, and which it is, `to_out.0` without its number; nil for other modules.
    private static func attention(_ module: String, _ projections: [String]) -> (parent: String, projection: String)? {
        guard let projection = projections.first(where: { module.hasSuffix(".\($0)") }) else { return nil }
        let parent = String(module.dropLast(projection.count + 1))
        return (parent, projection.hasSuffix(".0") ? String(projection.dropLast(2)) : projection)
    }

    /// Some names, fit for a message.
    static func listed(_ names: [String]) -> String {
        let limit = 5
        let rest = names.count - limit
        return names.sorted().prefix(limit).map(quoted).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
