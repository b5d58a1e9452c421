import Failures

/// A network beside the model that comes with the program, and goes with its model. It is known by a name, as that is, and
/// each rank finds it for itself.
enum ShippedNetwork: String {
    /// A ControlNet for edges and scribbles.
    case edges = "scenes-edges"
    /// An IP-Adapter, with its image encoder.
    case picture = "scenes-picture"

    /// The one that a user means by a name: what is called so in the working directory has priority.
    static func meant(by name: String) -> ShippedNetwork? {
        FileKind(at: name) == nil ? ShippedNetwork(rawValue: name) : nil
    }

    /// The folder or file that a user names: by a path, or by the name of one of these.
    ///
    /// - Throws: `Failure.missingInput` if it is one of these and is not where it should be.
    static func path(of name: String) throws -> String { try meant(by: name)?.path() ?? name }

    private func path() throws -> String {
        let folder = try ProgramFiles.folder(
            rawValue, installedIn: "models", called: "\(kind) \(rawValue)", otherwise: "or name another one's path")
        switch self {
        case .edges: return folder
        case .picture: return "\(folder)/ip-adapter.safetensors"
        }
    }

    private var kind: String {
        switch self {
        case .edges: "the ControlNet"
        case .picture: "the IP-Adapter"
        }
    }
}

extension ModelChoice {
    /// The same with the paths of networks that come with the program in place of their names.
    func locatingShippedNetworks() throws -> ModelChoice {
        var copy = self
        copy.controls = try controls.map(ShippedNetwork.path)
        copy.ipAdapters = try ipAdapters.map(ShippedNetwork.path)
        return copy
    }
}
