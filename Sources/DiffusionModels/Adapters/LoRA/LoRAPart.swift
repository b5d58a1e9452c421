/// What a tensor of a LoRA is to the module that its key names: the key's end.
enum LoRAPart: String, Sendable {
    /// The factor that the input comes to first.
    case down
    /// The factor that the output comes from.
    case up
    /// The kernel between them, of a convolution.
    case middle
    case alpha
    /// DoRA's magnitudes, as LyCORIS and kohya save them.
    case doraScale = "dora_scale"
    /// DoRA's magnitudes, as PEFT saves them.
    case magnitude = "lora_magnitude_vector"
    case hadaW1A = "hada_w1_a"
    case hadaW1B = "hada_w1_b"
    case hadaW2A = "hada_w2_a"
    case hadaW2B = "hada_w2_b"
    case lokrW1 = "lokr_w1"
    case lokrW1A = "lokr_w1_a"
    case lokrW1B = "lokr_w1_b"
    case lokrW2 = "lokr_w2"
    case lokrW2A = "lokr_w2_a"
    case lokrW2B = "lokr_w2_b"

    /// All endings of all spellings; one that ends with another comes before it.
    private static let endings: [(ending: String, part: LoRAPart)] =
        [
            // diffusers, new
            (".lora.down.weight", .down), (".lora.up.weight", .up),
            (".lora_linear_layer.down.weight", .down), (".lora_linear_layer.up.weight", .up),
            // PEFT
            (".lora_A.weight", .down), (".lora_B.weight", .up),
            (".lora_magnitude_vector.weight", .magnitude), (".lora_magnitude_vector", .magnitude),
            // kohya and LyCORIS
            (".lora_down.weight", .down), (".lora_up.weight", .up), (".lora_mid.weight", .middle),
            (".alpha", .alpha), (".dora_scale", .doraScale),
            // diffusers, old: its modules end in `_lora`
            (".down.weight", .down), (".up.weight", .up),
        ]
        + [hadaW1A, hadaW1B, hadaW2A, hadaW2B, lokrW1, lokrW1A, lokrW1B, lokrW2, lokrW2A, lokrW2B].map {
            (".\($0.rawValue)", $0)
        }

    /// The module's name in a key, and what the tensor is to it; nil for a key of another form.
    static func split(_ key: String) -> (module: String, part: LoRAPart)? {
        guard let (ending, part) = endings.first(where: { key.hasSuffix($0.ending) }) else { return nil }
        let module = key.dropLast(ending.count)
        return module.isEmpty ? nil : (String(module), part)
    }

    /// The kinds of adapters that are known and not computed, by a word of their keys.
    private static let otherKinds: [(word: String, isBeginning: Bool, kind: String)] = [
        ("diff", false, "a whole difference of weights (diff)"),
        ("diff_b", false, "a difference of biases (diff_b)"),
        ("on_input", false, "IA3 (on_input)"),
        ("ia3_l", false, "IA3 (ia3_l)"),
        ("w_norm", false, "a change of norms (w_norm)"),
        ("b_norm", false, "a change of norms (b_norm)"),
        ("oft_", true, "OFT (orthogonal fine-tuning)"),
        ("boft_", true, "BOFT (orthogonal fine-tuning)"),
        ("hada_t1", false, "LoHa in Tucker's form (hada_t1)"),
        ("hada_t2", false, "LoHa in Tucker's form (hada_t2)"),
        ("lokr_t1", false, "LoKr in Tucker's form (lokr_t1)"),
        ("lokr_t2", false, "LoKr in Tucker's form (lokr_t2)"),
        ("bundle_emb", false, "textual inversions bundled with a LoRA (bundle_emb)"),
    ]

    /// What kind of adapter a key belongs to that is known and not computed; nil for others.
    static func otherKind(of key: String) -> String? {
        let words = key.split(separator: ".")
        return otherKinds.first { kind in
            words.contains { kind.isBeginning ? $0.hasPrefix(kind.word) : $0 == kind.word }
        }?.kind
    }
}
