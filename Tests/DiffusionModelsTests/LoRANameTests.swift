import DiffusionModels
import Foundation
import Testing

@Suite struct LoRANameTests {
    /// Every module of the UNet and of the text encoder at full size, under diffusers' name and under LDM's, both with
    /// underscores: by the tables that diffusers' conversion made. None is taken for another.
    @Test(arguments: [(ModelArchitecture.sd15, 282, 72), (.sd21, 282, 138)])
    func allModulesAreKnown(model: ModelArchitecture, unetCount: Int, textCount: Int) throws {
        let targets = LoRATargets(unet: model.unet, textEncoder: model.textEncoder)
        #expect(targets.all.count { $0.component == .unet } == unetCount)
        #expect(targets.all.count { $0.component == .textEncoder } == textCount)
        let table = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/ldm/\(model.rawValue).txt"
        var seen = 0
        for line in try String(contentsOfFile: table, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            let isMatrix = words[4].contains("x")
            guard words[0] == "unet", words[1].hasSuffix(".weight"), isMatrix else { continue }
            let module = String(words[1].dropLast(".weight".count))
            let original = words[2].dropFirst("model.diffusion_model.".count).dropLast(".weight".count)
            let flat = [module, String(original)].map { "lora_unet_" + $0.split(separator: ".").joined(separator: "_") }
            for name in flat + ["unet.\(module)", module, "base_model.model.\(module)"] {
                #expect(targets[name]?.module == module, "\(name)")
            }
            seen += 1
        }
        #expect(seen == unetCount)
        for target in targets.all where target.component == .textEncoder {
            let flat = target.module.split(separator: ".").joined(separator: "_")
            for name in [
                "lora_te_text_model_\(flat)", "text_encoder.text_model.\(target.module)",
                "text_encoder.\(target.module)",
            ] {
                #expect(targets[name] == target, "\(name)")
            }
        }
    }
}
