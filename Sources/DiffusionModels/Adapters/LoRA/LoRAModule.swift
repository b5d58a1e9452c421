import Failures
import TensorKernels

/// What a LoRA changes of one module, as its file has it: every tensor is there, finite, and fits the others.
public struct LoRAModule: Sendable {
    /// Which formula the change is.
    public enum Kind: String, Sendable, CaseIterable {
        case lora = "LoRA"
        case locon = "LoCon"
        case loha = "LoHa"
        case lokr = "LoKr"
    }

    /// DoRA's magnitudes: what the merged weight's norms are to be.
    enum Magnitudes: Sendable {
        case perOutput(StoredTensor)
        /// Over outputs and the kernel.
        case perInput(StoredTensor)

        var tensor: StoredTensor {
            switch self {
            case .perOutput(let tensor), .perInput(let tensor): tensor
            }
        }
    }

    /// As the file names it.
    public let name: String
    public let kind: Kind
    let factors: LoRAFactors
    /// The change's rows, and its columns: inputs, times the positions of a kernel.
    let outputs: Int
    let columns: Int
    /// A kernel's height and width, where the factors tell them.
    let kernel: [Int]?
    /// nil where both factors of a LoKr are whole.
    public let rank: Int?
    /// What the file says; nil for nothing, or 0.
    public let alpha: Double?
    /// Whether alpha is divided by the rank's root (rslora), and not by the rank.
    public let isRankStabilized: Bool
    let magnitudes: Magnitudes?

    /// Whether magnitudes belong to it (DoRA).
    public var isDecomposed: Bool { magnitudes != nil }

    /// What the product of the factors is multiplied by.
    var scale: Double {
        guard let rank, let alpha else { return 1 }
        return isRankStabilized ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    var tensors: [StoredTensor] { factors.tensors + (magnitudes.map { [$0.tensor] } ?? []) }

    /// - Parameters:
    ///   - parts: the module's tensors.
    ///   - settings: what the file's metadata say of its alpha.
    /// - Throws: `Failure.badData` naming the tensor, or the one that is missing.
    init(_ name: String, _ parts: [LoRAPart: StoredTensor], settings: LoRASettings, file: String) throws {
        let reader = LoRAModuleReader(name: name, parts: parts, file: file)
        let (factors, form) = try reader.factors()
        self.name = name
        self.factors = factors
        kind = form.kind
        outputs = form.outputs
        columns = form.columns
        kernel = form.kernel
        rank = form.rank
        isRankStabilized = settings.isRankStabilized(name)
        let alpha = try reader.alpha() ?? settings.alpha(of: name)
        self.alpha = alpha == 0 ? nil : alpha
        magnitudes = try reader.magnitudes(outputs: form.outputs)
    }
}
