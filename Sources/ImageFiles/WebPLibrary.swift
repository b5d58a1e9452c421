import Failures
import Glibc

/// libwebp, which turns WebP pictures into pixels and back, where the machine has it.
///
/// Little of it is used, and that has been the same since 2017, so it is looked for when a WebP picture is first met,
/// and neither the build nor a machine without such pictures wants it.
package struct WebPLibrary: Sendable {
    /// `WebPDecodeRGBInto`, `WebPDecodeRGBAInto`: a file, room for its pixels, and bytes from row to row; nil for a file
    /// that can't be decoded.
    typealias Decode =
        @Sendable @convention(c) (
            _ file: UnsafePointer<UInt8>?, _ size: Int, _ pixels: UnsafeMutablePointer<UInt8>?, _ room: Int,
            _ stride: Int32
        ) -> UnsafeMutablePointer<UInt8>?
    /// `WebPEncodeLosslessRGB`: pixels, sides, bytes from row to row; returns the size of the file, 0 for none.
    typealias EncodeLossless =
        @Sendable @convention(c) (
            _ pixels: UnsafePointer<UInt8>?, _ width: Int32, _ height: Int32, _ stride: Int32,
            _ file: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?
        ) -> Int
    /// `WebPEncodeRGB`: the same with a quality of 0 to 100.
    typealias Encode =
        @Sendable @convention(c) (
            _ pixels: UnsafePointer<UInt8>?, _ width: Int32, _ height: Int32, _ stride: Int32, _ quality: Float,
            _ file: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?
        ) -> Int
    /// `WebPFree`, for what the encoders return.
    typealias Free = @Sendable @convention(c) (UnsafeMutableRawPointer?) -> Void

    let decodeRGB: Decode
    let decodeRGBA: Decode
    let encode: Encode
    let encodeLossless: EncodeLossless
    let free: Free

    /// Why there is none, in the dynamic linker's words.
    package struct Absence: Error {
        let reason: String

        /// What to do about it.
        package var advice: String {
            "this needs the library libwebp, which this machine does not have (\(reason)); install it (Debian: apt-get "
                + "install libwebp7)"
        }
    }

    /// The machine's own.
    static let found = Result { () throws(Absence) in try WebPLibrary(named: "libwebp.so.7") }

    /// Loads a library, which then stays.
    ///
    /// - Parameter name: a file's, as the dynamic linker looks for it; the number is that of the interface.
    package init(named name: String) throws(Absence) {
        guard let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { throw Self.absence(of: name) }
        func function<Function>(_ symbol: String, _: Function.Type) throws(Absence) -> Function {
            guard let address = dlsym(library, symbol) else { throw Self.absence(of: name) }
            return unsafeBitCast(address, to: Function.self)
        }
        decodeRGB = try function("WebPDecodeRGBInto", Decode.self)
        decodeRGBA = try function("WebPDecodeRGBAInto", Decode.self)
        encode = try function("WebPEncodeRGB", Encode.self)
        encodeLossless = try function("WebPEncodeLosslessRGB", EncodeLossless.self)
        free = try function("WebPFree", Free.self)
    }

    private static func absence(of name: String) -> Absence {
        Absence(reason: dlerror().map { String(cString: $0) } ?? "\(name) can't be loaded")
    }
}
