import Failures
import NeuralLayers
import TensorKernels

/// A LoRA's file, and how strong it is in each network: 0 for not at all.
public struct WeightedLoRA: Sendable {
    public let file: LoRAFile
    public let unetScale: Double
    public let textScale: Double

    public init(_ file: LoRAFile, unetScale: Double = 1, textScale: Double = 1) {
        self.file = file
        self.unetScale = unetScale
        self.textScale = textScale
    }

    func scale(of component: ModelFolder.Component) -> Double { component == .unet ? unetScale : textScale }
}

/// LoRAs that fit a model: what becomes of each of its weights.
public struct LoRASet: Sendable {
    private let merged: [ModelFolder.Component: [String: MergedWeight]]

    /// No LoRAs: every weight stays as it is.
    public init() { merged = [:] }

    /// - Throws: `Failure.badData` naming the file, the key, and the model that the LoRA is for, if that can be told.
    public init(_ loras: [WeightedLoRA], for targets: LoRATargets) throws {
        var changes: [ModelFolder.Component: [String: (LoRATarget, [WeightChange])]] = [:]
        for lora in loras {
            for (module, target) in try lora.file.matched(with: targets) {
                let weight = lora.scale(of: target.component)
                // Without strength the plain weight's bytes are wanted, and a merge might round them.
                guard weight != 0 else { continue }
                let change = WeightChange(file: lora.file.path, module: module, weight: weight)
                changes[target.component, default: [:]][target.key, default: (target, [])].1.append(change)
            }
        }
        merged = changes.mapValues { $0.mapValues { MergedWeight($0.0, $0.1) } }
    }

    /// The weights of a network with what the LoRAs change, computed when they are read.
    public func applied(to weights: any WeightSource, of component: ModelFolder.Component) -> any WeightSource {
        guard let merged = merged[component] else { return weights }
        return MergedWeights(weights, merged)
    }
}

/// The weights of another source, some of them changed.
private final class MergedWeights: WeightSource {
    private let plain: any WeightSource
    private let merged: [String: MergedWeight]

    init(_ plain: any WeightSource, _ merged: [String: MergedWeight]) {
        self.plain = plain
        self.merged = merged
    }

    var store: WeightStore { plain.store }
    func contains(_ key: String) -> Bool { plain.contains(key) }

    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        let tensor = plain.tensor(key, shape)
        // What is missing stays so, for whoever reports it.
        guard let merged = merged[key], !tensor.isPlaceholder else { return tensor }
        return StoredTensor(tensor, changedBy: merged)
    }
}

extension LoRAFile {
    /// The modules, each with the model's that it changes.
    ///
    /// - Throws: `Failure.badData` if one is none of the model's, or changes it in another shape than it has.
    func matched(with targets: LoRATargets) throws -> [(LoRAModule, LoRATarget)] {
        let family = LoRAFamily(modules)
        if let family, family.isForeign(to: targets.contextWidth) {
            let model = LoRAFamily.contextWidth(targets.contextWidth)
            throw Failure.badData(
                "\(path): is a LoRA \(family.description); the model asks for one \(model.description)")
        }
        let strangers = modules.map(\.name).filter { targets[$0] == nil }
        guard strangers.isEmpty else {
            let count = strangers.count == modules.count ? "none" : "\(modules.count - strangers.count)"
            throw Failure.badData(
                file: path, key: LoRANames.listed(strangers), expected: "modules of the model, in any spelling",
                found: "\(count) of the file's \(modules.count) among them")
        }
        var known: [String: String] = [:]
        return try modules.compactMap { module in
            guard let target = targets[module.name] else { return nil }
            if let other = known.updateValue(module.name, forKey: target.key) {
                throw Failure.badData(
                    file: path, key: quoted(module.name), expected: "one change of \(target.module)",
                    found: "another under the name \(quoted(other))")
            }
            try check(module, against: target)
            return (module, target)
        }
    }

    private func check(_ module: LoRAModule, against target: LoRATarget) throws {
        // The first convolution of a model for inpainting takes mask and picture besides.
        let isOfFirstChannels =
            target.component == .unet && target.module == "conv_in"
            && module.columns == UNetConfiguration.latentChannels * target.area && module.columns < target.columns
        let hasKernel = module.kernel.map { $0.reduce(1, *) == target.area && $0[0] == $0[1] } ?? true
        guard module.outputs == target.shape[0], module.columns == target.columns || isOfFirstChannels, hasKernel else {
            let kernel = module.kernel.map { " with a kernel of \($0.map(String.init).joined(separator: " x "))" } ?? ""
            throw Failure.badData(
                file: path, key: quoted(module.name),
                expected: "a change of \(target.component.rawValue)'s \(target.module), \(target.shape)",
                found: "one of \(module.outputs) x \(module.columns)\(kernel)")
        }
        guard case .perInput(let tensor)? = module.magnitudes, tensor.count != module.columns / target.area else {
            return
        }
        throw Failure.badData(
            file: path, key: quoted(tensor.name),
            expected: "\(module.columns / target.area) numbers, one for each input", found: "\(tensor.count)")
    }
}
