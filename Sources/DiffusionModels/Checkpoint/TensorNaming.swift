/// Where a file holds a tensor: under a name, or as one of several equal blocks of rows under it.
public struct TensorPlace: Sendable, Hashable {
    public let name: String
    /// Which block of rows, from 0; 0 of 1 is the whole tensor.
    public let part: Int
    /// How many blocks are stacked.
    public let parts: Int

    public init(_ name: String, part: Int = 0, of parts: Int = 1) {
        self.name = name
        self.part = part
        self.parts = parts
    }
}

/// How a layout of files names the tensors of one network: a pure rule from the name under which layers ask for a
/// tensor, current diffusers' without a text encoder's `text_model.`, to that in the file. Reading and writing both go
/// this way.
public protocol TensorNaming: Sendable {
    /// Where the tensor `key` may be, the place where it is written first.
    func places(of key: String) -> [TensorPlace]
    /// The pattern of names that files hold though no picture depends on them, if `name` fits one.
    func uselessPattern(of name: String) -> String?
}

/// The names of diffusers and transformers, today's and older ones.
struct DiffusersNaming: TensorNaming {
    let component: ModelFolder.Component

    func places(of key: String) -> [TensorPlace] {
        switch component {
        case .unet: [TensorPlace(key)]
        case .textEncoder: [TensorPlace("text_model." + key), TensorPlace(key)]
        case .vae: [TensorPlace(key)] + (Self.olderAttentionName(key).map { [TensorPlace($0)] } ?? [])
        }
    }

    /// CLIP's list of the numbers from 0 on, which some versions save.
    func uselessPattern(of name: String) -> String? {
        name == "position_ids" || name.hasSuffix(".position_ids") ? "*position_ids" : nil
    }

    /// diffusers before 0.14 named the projections of the VAE's attention otherwise.
    private static func olderAttentionName(_ key: String) -> String? {
        let older = ["to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"]
        for (name, olderName) in older {
            for parameter in ["weight", "bias"] where key.hasSuffix(".\(name).\(parameter)") {
                return key.dropLast("\(name).\(parameter)".count) + "\(olderName).\(parameter)"
            }
        }
        return nil
    }
}
