//! The packages that the reference server's image brings along, by the modules that files import.
//!
//! Files that are written for that image import them without listing them as requirements.

/// The modules and their packages, from `requirements.txt` of
/// <https://github.com/open-webui/pipelines>.
pub const BUNDLED_PACKAGES: [(&str, &str); 47] = [
    ("aiohttp", "aiohttp"),
    ("anthropic", "anthropic"),
    ("boto3", "boto3"),
    ("botocore", "boto3"),
    ("bs4", "beautifulsoup4"),
    ("chromadb", "chromadb"),
    ("cv2", "opencv-python"),
    ("ddtrace", "ddtrace"),
    ("fastapi", "fastapi"),
    ("google.generativeai", "google-generativeai"),
    ("grpc", "grpcio"),
    ("httpx", "httpx"),
    ("jwt", "PyJWT[crypto]"),
    ("langfuse", "langfuse"),
    ("llama_index", "llama-index"),
    ("llama_index.llms.ollama", "llama-index-llms-ollama"),
    ("matplotlib", "matplotlib"),
    ("multipart", "python-multipart"),
    ("nltk", "nltk"),
    ("numpy", "numpy"),
    ("openai", "openai"),
    ("opik", "opik"),
    ("pandas", "pandas"),
    ("passlib", "passlib[bcrypt]"),
    ("peewee", "peewee"),
    ("PIL", "Pillow"),
    ("playwright", "playwright"),
    ("psycopg2", "psycopg2-binary"),
    ("pydantic", "pydantic"),
    ("pymongo", "pymongo"),
    ("redis", "redis"),
    ("requests", "requests"),
    ("seaborn", "seaborn"),
    ("selenium", "selenium"),
    ("sentence_transformers", "sentence-transformers"),
    ("sklearn", "scikit-learn"),
    ("socketio", "python-socketio"),
    ("sqlalchemy", "SQLAlchemy"),
    ("sqlmodel", "sqlmodel"),
    ("starlette", "starlette"),
    ("tiktoken", "tiktoken"),
    ("tokenizers", "tokenizers"),
    ("torch", "torch"),
    ("transformers", "transformers"),
    ("uvicorn", "uvicorn[standard]"),
    ("vertexai", "vertexai"),
    ("xgboost", "xgboost"),
];

/// Modules of the standard library that files list as requirements although no package has to be
/// installed for them. A package of such a name would be a stranger's.
pub const STANDARD_MODULES: [&str; 28] = [
    "asyncio",
    "base64",
    "collections",
    "datetime",
    "difflib",
    "functools",
    "hashlib",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "none",
    "os",
    "pathlib",
    "random",
    "re",
    "socket",
    "string",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "traceback",
    "typing",
    "urllib",
    "uuid",
];

/// Names of modules that files list as requirements, and the packages that they are in.
pub const PACKAGE_ALIASES: [(&str, &str); 4] =
    [("bs4", "beautifulsoup4"), ("PIL", "Pillow"), ("sklearn", "scikit-learn"), ("yaml", "PyYAML")];

/// The modules that the helper modules of the runner import, by the helper.
pub const HELPER_IMPORTS: [(&str, &[&str]); 2] =
    [("schemas", &["pydantic"]), ("blueprints", &["pydantic", "requests"])];
