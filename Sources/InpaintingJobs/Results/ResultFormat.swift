import Failures
import ImageFiles

/// What kind of file a result is; its name says it.
public enum ResultFormat: String, CaseIterable, Sendable {
    case png
    case jpeg
    case webp

    /// What names end in, in lower case; the first one is what is recommended.
    public var suffixes: [String] {
        switch self {
        case .png: ["png"]
        case .jpeg: ["jpg", "jpeg"]
        case .webp: ["webp"]
        }
    }

    /// The name's; PNG where it says none of these.
    init(ofFile name: String) {
        let suffix = Self.suffix(of: name)
        self = Self.allCases.first { $0.suffixes.contains(suffix) } ?? .png
    }

    /// Finds out whether a result's name promises what can be written.
    ///
    /// - Throws: `Failure.usage`.
    static func checkResult(_ file: String) throws {
        if others.contains(suffix(of: file)) {
            throw Failure.usage(
                "--output \(file): results are PNG, JPEG or WebP files; expected a name that ends in .png, .jpg or .webp"
            )
        }
        if ResultFormat(ofFile: file) == .webp { try RGBImage.checkWritesWebP(to: file, by: "--output") }
    }

    /// The same for what is a PNG file in any case, whatever it is called.
    static func checkPNG(_ file: String, by option: String, _ kind: String) throws {
        guard ResultFormat(ofFile: file) == .png, !others.contains(suffix(of: file)) else {
            throw Failure.usage("\(option) \(file): \(kind) are PNG files; expected a name that ends in .png")
        }
    }

    /// What the names of other pictures end in.
    private static let others: Set<String> = ["gif", "bmp", "tif", "tiff", "avif", "heic"]

    private static func suffix(of file: String) -> String { file.split(separator: ".").last?.lowercased() ?? "" }

    /// What such a file may have along a side; nil where no picture is too large for it.
    var longestSide: Int? {
        switch self {
        case .png: nil
        case .jpeg: RGBImage.longestSideOfJPEG
        case .webp: RGBImage.longestSideOfWebP
        }
    }

    /// As messages call it.
    var name: String {
        switch self {
        case .png: "PNG"
        case .jpeg: "JPEG"
        case .webp: "WebP"
        }
    }

    /// What such a file has no place for, in words that go on its name.
    func losses(of metadata: PictureMetadata) -> [String] {
        switch self {
        case .png: []
        case .jpeg: metadata.lossesAsJPEG
        case .webp: metadata.lossesAsWebP
        }
    }
}
