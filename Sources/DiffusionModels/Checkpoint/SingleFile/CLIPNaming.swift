/// The names of OpenAI's CLIP, the text encoder of Stable Diffusion 1.x, in a single file: transformers' under a
/// prefix.
struct CLIPNaming: TensorNaming {
    /// `cond_stage_model.transformer.`, or `conditioner.embedders.0.transformer.`
    let prefix: String

    /// Very old files lack the `text_model.`
    func places(of key: String) -> [TensorPlace] {
        [TensorPlace("\(prefix)text_model.\(key)"), TensorPlace(prefix + key)]
    }

    /// What CLIP compares texts and pictures by.
    func uselessPattern(of name: String) -> String? { name == prefix + "text_projection.weight" ? name : nil }
}

/// The names of OpenCLIP, the text encoder of Stable Diffusion 2.x, in which an attention's queries, keys and values
/// are one tensor.
struct OpenCLIPNaming: TensorNaming {
    /// `cond_stage_model.model.`, or `conditioner.embedders.0.model.`
    let prefix: String
    /// How many layers are used; a file may have one more.
    let layerCount: Int

    func places(of key: String) -> [TensorPlace] {
        let place = place(of: key)
        return [TensorPlace(prefix + place.name, part: place.part, of: place.parts)]
    }

    /// The last layer, and what follows it: Stable Diffusion 2 takes the states before it.
    func uselessPattern(of name: String) -> String? {
        let last = "\(prefix)transformer.resblocks.\(layerCount)."
        if name.hasPrefix(last) { return last + "*" }
        return name == prefix + "text_projection" || name == prefix + "attn_mask" ? name : nil
    }

    private static let roots = [
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias",
    ]
    private static let inLayer = [
        "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    ]
    /// In the order in which they are stacked.
    private static let stacked = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]

    private func place(of key: String) -> TensorPlace {
        if let name = Self.roots[key] { return TensorPlace(name) }
        // encoder.layers.K.MODULE.PARAMETER
        let words = key.split(separator: ".").map(String.init)
        guard words.count > 4, let parameter = words.last else { return TensorPlace(key) }
        let module = words[3..<words.count - 1].joined(separator: ".")
        let layer = "transformer.resblocks.\(words[2])"
        if let part = Self.stacked.firstIndex(of: module) {
            return TensorPlace("\(layer).attn.in_proj_\(parameter)", part: part, of: Self.stacked.count)
        }
        return TensorPlace("\(layer).\(Self.inLayer[module] ?? module).\(parameter)")
    }
}
