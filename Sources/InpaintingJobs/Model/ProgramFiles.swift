import Failures
import Foundation

/// The files that come with the program, which every rank finds for itself.
public enum ProgramFiles {
    /// The folder with CLIP's merges, which single-file checkpoints do not have.
    ///
    /// - Throws: `Failure.missingInput` if it is not where it should be.
    public static func clip() throws -> String {
        try folder(
            "clip", installedIn: nil, called: "CLIP's vocabulary",
            otherwise: "or name a folder with a tokenizer by --model-config")
    }

    /// A folder, relative to the program's own file: where SwiftPM puts it when it builds, or where scripts/install
    /// puts it.
    ///
    /// - Throws: `Failure.missingInput`, calling it `what`, if it is in neither place.
    static func folder(
        _ name: String, installedIn shelf: String?, called what: String, otherwise advice: String
    ) throws -> String {
        guard let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw Failure.internalFault("/proc/self/exe can't be read, so the program does not know where it is")
        }
        let binaries = URL(fileURLWithPath: program).deletingLastPathComponent()
        let shared = binaries.deletingLastPathComponent().appendingPathComponent("share/pilot-mpi")
        let places = [
            binaries.appendingPathComponent("pilot-mpi_pilot.resources/\(name)").path,
            (shelf.map(shared.appendingPathComponent) ?? shared).appendingPathComponent(name).path,
        ]
        if let place = places.first(where: { FileKind(at: $0) == .folder }) { return place }
        throw Failure.missingInput(
            "\(what), which comes with the program, is neither in \(places.joined(separator: " nor in ")); "
                + "build (swift build -c release) or install (scripts/install) again, \(advice)")
    }
}
