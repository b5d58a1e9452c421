import Failures
import Foundation

/// The model that comes with the program: it is known by a name, and each rank finds its folder for itself.
///
/// So a result's record holds the name, and repeats where the program is installed elsewhere.
public enum ShippedModel {
    public static let name = "scenes"
    /// Names another model for all commands that name none.
    public static let variable = "PILOT_MODEL"

    /// The model of a command that names none.
    public static var nameOrVariable: String {
        let other = ProcessInfo.processInfo.environment[variable] ?? ""
        return other.isEmpty ? name : other
    }

    /// Whether a user who names this model means the shipped one: the working directory may have a model of that name.
    static func isMeant(by model: String) -> Bool { model == name && !isModel(model) }

    /// The folder of the model that a user names: by a path, or by the name of the shipped one, unless the working
    /// directory has a model of that name.
    ///
    /// - Throws: `Failure.missingInput` if the shipped model is named and is not where it should be.
    static func folder(of model: String) throws -> String {
        guard isMeant(by: model) else { return model }
        return try ProgramFiles.folder(
            name, installedIn: "models", called: "the model \(name)", otherwise: "or name another model's folder")
    }

    /// Many a folder has such a name; one with a UNet's folder or an index in it is meant as a model.
    private static func isModel(_ path: String) -> Bool {
        FileKind(at: "\(path)/unet") == .folder || FileManager.default.fileExists(atPath: "\(path)/model_index.json")
    }
}
