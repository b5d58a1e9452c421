import Failures
import TensorKernels

/// What the metadata that PEFT and diffusers write say of alphas: for the modules of one network, or of all.
struct LoRASettings: Sendable {
    private static let key = "lora_adapter_metadata"
    /// PEFT's settings are some kilobytes.
    private static let mostBytes = 4 << 20

    private struct Network {
        var alpha: Double?
        /// For modules whose names end so.
        var alphas: [(module: String, alpha: Double)] = []
        var isRankStabilized = false
    }

    /// By the beginnings of modules' names; empty for all.
    private var networks: [String: Network] = [:]

    /// Of a file without such metadata.
    init() {}

    /// - Throws: `Failure.badData` naming the file and what is wrong there.
    init(_ metadata: [String: String], file: String) throws {
        guard let text = metadata[Self.key] else { return }
        let place = "\(file): the metadata's \(Self.key)"
        guard text.utf8.count <= Self.mostBytes else {
            throw Failure.badData("\(place): expected at most \(Self.mostBytes) bytes, found \(text.utf8.count)")
        }
        let json = try OrderedJSON(parsing: Array(text.utf8), file: place, advice: "")
        guard case .object(let members) = json else {
            throw Failure.badData("\(place): expected an object, found \(json.summary)")
        }
        for member in members {
            let words = member.key.split(separator: ".", maxSplits: 1).map(String.init)
            let prefix = words.count == 2 && ["unet", "text_encoder"].contains(words[0]) ? words[0] : ""
            let name = prefix.isEmpty ? member.key : words[1]
            try take(member.value, called: name, of: prefix, place: "\(place): \(quoted(member.key))")
        }
    }

    private mutating func take(_ value: OrderedJSON, called name: String, of prefix: String, place: String) throws {
        if value == .null { return }
        switch name {
        case "lora_alpha": networks[prefix, default: Network()].alpha = try Self.number(value, place)
        case "use_rslora":
            guard let flag = value.boolean else {
                throw Failure.badData("\(place): expected true or false, found \(value.summary)")
            }
            networks[prefix, default: Network()].isRankStabilized = flag
        case "alpha_pattern":
            guard case .object(let members) = value else {
                throw Failure.badData("\(place): expected an object, found \(value.summary)")
            }
            for member in members {
                // PEFT takes them for regular expressions; what it writes itself are names.
                guard !member.key.unicodeScalars.contains(where: { "^$*+?()[]{}|\\".unicodeScalars.contains($0) })
                else {
                    throw Failure.badData(
                        "\(place): expected the names of modules, found the pattern \(quoted(member.key))")
                }
                let alpha = try Self.number(member.value, "\(place): \(quoted(member.key))")
                networks[prefix, default: Network()].alphas.append((member.key, alpha))
            }
        default: break
        }
    }

    private static func number(_ value: OrderedJSON, _ place: String) throws -> Double {
        guard case .number(let spelling) = value, let number = Double(spelling), number.isFinite else {
            throw Failure.badData("\(place): expected a number, found \(value.summary)")
        }
        return number
    }

    /// The alpha of the module that a file calls so; nil if nothing is said.
    func alpha(of module: String) -> Double? {
        guard let network = network(of: module) else { return nil }
        let own = network.alphas.first { module == $0.module || module.hasSuffix(".\($0.module)") }
        return own?.alpha ?? network.alpha
    }

    func isRankStabilized(_ module: String) -> Bool { network(of: module)?.isRankStabilized ?? false }

    private func network(of module: String) -> Network? {
        let prefix = module.hasPrefix("text_encoder.") || module.contains("text_model.") ? "text_encoder" : "unet"
        return networks[prefix] ?? networks[""]
    }
}
