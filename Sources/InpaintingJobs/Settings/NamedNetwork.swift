/// What goes with a job's model, as an option names it: a LoRA, a ControlNet, an adapter, an image encoder.
struct NamedNetwork {
    let option: String
    let path: String
    /// Which of the option's it is, 1 for the first.
    let number: Int

    /// What it is for, in a word: `control-2`.
    var purpose: String { JobFile.purpose(of: option, number: number) }
}

extension JobSettings {
    /// All that goes with the model.
    var networks: [NamedNetwork] {
        func named(_ option: String, _ paths: [String]?) -> [NamedNetwork] {
            (paths ?? []).enumerated().map { NamedNetwork(option: option, path: $1, number: $0 + 1) }
        }
        return named("--lora", lora?.map(\.file)) + named("--control", controls?.map(\.net))
            + named("--t2i-adapter", t2iAdapters?.map(\.adapter)) + named("--ip-adapter", ipAdapters?.map(\.adapter))
            + named("--image-encoder", imageEncoder.map { [$0] })
    }

    /// The same under other names: of what goes with the model, and of the pictures that these networks are given.
    func renamingNetworks(_ network: (String) -> String, pictures picture: (String) -> String) -> JobSettings {
        var copy = self
        for index in (lora ?? []).indices { copy.lora?[index].file = network(lora?[index].file ?? "") }
        copy.controls = controls?.map { control in
            var copy = control
            (copy.net, copy.image) = (network(control.net), control.image.map(picture))
            return copy
        }
        copy.t2iAdapters = t2iAdapters?.map { adapter in
            var copy = adapter
            (copy.adapter, copy.image) = (network(adapter.adapter), adapter.image.map(picture))
            return copy
        }
        copy.ipAdapters = ipAdapters?.map { adapter in
            var copy = adapter
            (copy.adapter, copy.image) = (network(adapter.adapter), picture(adapter.image))
            return copy
        }
        copy.imageEncoder = imageEncoder.map(network)
        return copy
    }
}
