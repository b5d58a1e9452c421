import ArgumentParser
import InpaintingJobs

/// What changes a model's weights.
struct LoRAOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Merge this LoRA into the model's weights: safetensors; LoRA, LoCon, LoHa, LoKr or DoRA, as kohya, diffusers or "
                + "PEFT save them. May be given several times; the k-th scale belongs to the k-th LoRA, and one that is "
                + "given once to all.", valueName: "file"), completion: .file())
    var lora: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("How strong it is; 0 for not at all (default: 1).", valueName: "x"))
    var loraScale: [Double] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("How strong it is in the text encoder (default: as in the UNet).", valueName: "x"))
    var loraTextScale: [Double] = []

    /// Files that are named replace recorded ones, and scales recorded scales; files of another number have none yet.
    ///
    /// - Throws: `Failure.usage` for scales without a LoRA, or of another number.
    func apply(to settings: inout JobSettings) throws {
        var loras = settings.lora ?? []
        if !lora.isEmpty, lora.count != loras.count { loras = lora.map { LoRAChoice($0) } }
        for (index, file) in lora.enumerated() { loras[index].file = file }
        let scales = try RepeatedOptions.values(loraScale, "--lora-scale", for: "--lora", count: loras.count)
        let textScales = try RepeatedOptions.values(
            loraTextScale, "--lora-text-scale", for: "--lora", count: loras.count)
        for index in loras.indices {
            if let scale = scales[index] { loras[index].scale = scale }
            if let scale = textScales[index] { loras[index].textScale = scale }
        }
        settings.lora = loras.isEmpty ? nil : loras
    }
}
