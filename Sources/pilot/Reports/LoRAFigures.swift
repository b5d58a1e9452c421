import DiffusionModels
import Failures

/// What `pilot lora inspect` tells of a LoRA; its JSON has these names in snake_case.
struct LoRAFigures: Encodable {
    struct Tag: Encodable {
        let text: String
        let count: Int
    }

    let file: String
    /// Of the formulas that there are.
    let kinds: [String]
    let modules: Int
    /// How many of the modules have magnitudes (DoRA), and alphas over the rank's root (rslora).
    let decomposed: Int
    let rankStabilized: Int
    let ranks: [Int]
    let alphas: [Double]
    /// By the part of the model; what can't be told is `unknown`.
    let parts: [String: Int]
    /// The models it is for, in words, as far as it tells.
    let purpose: String?
    let name: String?
    let baseModel: String?
    let trigger: String?
    let tags: [Tag]
    /// Whether it fits the model that was named, and what does not.
    let model: String?
    let fits: Bool?
    let misfit: String?

    /// More tags than these are the captions' noise.
    private static let mostTags = 20

    init(_ lora: LoRAFile, model: String?, _ targets: LoRATargets?) {
        let training = LoRATraining(lora.metadata)
        file = lora.path
        kinds = LoRAModule.Kind.allCases.filter { kind in lora.modules.contains { $0.kind == kind } }.map(\.rawValue)
        modules = lora.modules.count
        decomposed = lora.modules.count(where: \.isDecomposed)
        rankStabilized = lora.modules.count(where: \.isRankStabilized)
        ranks = Set(lora.modules.compactMap(\.rank)).sorted()
        alphas = Set(lora.modules.compactMap(\.alpha)).sorted()
        parts = Dictionary(
            uniqueKeysWithValues: lora.counts(in: targets ?? lora.targetsOfFamily).map { ($0.key.rawValue, $0.value) })
        purpose = lora.purpose
        name = training.outputName
        baseModel = training.baseModel
        trigger = training.triggerPhrase
        tags = training.tags.prefix(Self.mostTags).map { Tag(text: $0.text, count: $0.count) }
        self.model = model
        var misfit: String?
        if let targets {
            do {
                try lora.check(against: targets)
            } catch {
                misfit = (error as? Failure)?.message ?? "\(error)"
            }
        }
        self.misfit = misfit
        fits = targets.map { _ in misfit == nil }
    }
}
